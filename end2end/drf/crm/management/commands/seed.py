"""`seed` makes everything a server needs, or puts it back as it was.

Running it again changes nothing but what was changed: the fixed records get their values back, the
application its addresses and secret. Records made since, tokens and the signing key stay.

Environment, beyond that of the settings:
    CRM_CLIENT_SECRET     the secret of the application `breezeway`
    CRM_REDIRECT_URI      where it may be sent back to after signing in
    CRM_POST_LOGOUT_URI   where it may be sent back to after signing out (nowhere)

Several addresses are separated by spaces. On a loopback host any port will do.
"""

import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from oauth2_provider.models import Application

from crm import samples


class Command(BaseCommand):
    help = "Make the database, the signing key, the application, the people and the records."

    def handle(self, **options: object) -> None:
        client_secret = required("CRM_CLIENT_SECRET")
        redirect_uris = required("CRM_REDIRECT_URI")
        settings.DATABASE.parent.mkdir(parents=True, exist_ok=True)
        if not settings.SIGNING_KEY.exists():
            make_signing_key()
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            seed_application(client_secret, redirect_uris)
            seed_people()
            seed_records()


def required(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise CommandError(f"{variable} must be set.")
    return value


def make_signing_key() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    settings.SIGNING_KEY.touch(mode=0o600)
    settings.SIGNING_KEY.write_bytes(pem)


def seed_application(client_secret: str, redirect_uris: str) -> None:
    Application.objects.update_or_create(
        client_id="breezeway",
        defaults={
            "name": "Breezeway",
            "client_type": Application.CLIENT_CONFIDENTIAL,
            "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
            "client_secret": client_secret,
            "redirect_uris": redirect_uris,
            "post_logout_redirect_uris": os.environ.get("CRM_POST_LOGOUT_URI", ""),
            "skip_authorization": True,
            "algorithm": Application.RS256_ALGORITHM,
        },
    )


def seed_people() -> None:
    for username, name, role in samples.PEOPLE:
        first_name, last_name = name.split()
        user, _ = User.objects.update_or_create(
            username=username,
            defaults={
                "first_name": first_name,
                "last_name": last_name,
                "email": f"{username}@crm.example",
            },
        )
        if not user.check_password(samples.PASSWORD):
            user.set_password(samples.PASSWORD)
            user.save()
        group, _ = Group.objects.get_or_create(name=role)
        user.groups.set([group])


def seed_records() -> None:
    for record in [*samples.contacts(), *samples.deals()]:
        # Raw, as fixtures are saved: with the times they have and not the time of day.
        record.save_base(raw=True)
