"""Contacts, the deals made with them, and the keys that keep a repeated POST from making two."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import PurePath

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

PHOTO_MAX_BYTES = 1024 * 1024
PHOTO_SIGNATURES = {
    ".gif": re.compile(rb"GIF8[79]a"),
    ".jpeg": re.compile(rb"\xff\xd8\xff"),
    ".jpg": re.compile(rb"\xff\xd8\xff"),
    ".png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    ".webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}


def validate_photo(photo: File) -> None:
    """Goes by name and content: the name decides the type under which the photo is served."""
    if photo.size > PHOTO_MAX_BYTES:
        raise ValidationError("A photo may not be larger than 1 MB.")
    photo.seek(0)
    head = photo.read(16)
    photo.seek(0)
    signature = PHOTO_SIGNATURES.get(PurePath(photo.name).suffix.lower())
    if signature is None or not signature.match(head):
        raise ValidationError("A photo must be a GIF, JPEG, PNG or WebP image.")


class Record(models.Model):
    """What contacts and deals have in common."""

    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        ordering = ["id"]


class Contact(Record):
    class Status(models.TextChoices):
        LEAD = "lead"
        CUSTOMER = "customer"
        FORMER = "former"

    name = models.CharField(max_length=80)
    email = models.EmailField(unique=True)
    company = models.CharField(max_length=120, blank=True)
    phone = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.LEAD)
    is_vip = models.BooleanField(default=False, verbose_name="VIP")
    birthday = models.DateField(null=True, blank=True)
    photo = models.FileField(
        upload_to="photos", null=True, blank=True, validators=[validate_photo]
    )

    def __str__(self) -> str:
        return self.name

    @property
    def etag(self) -> str:
        return f'"{self.pk}-{self.updated_at:%Y%m%d%H%M%S%f}"'


class Deal(Record):
    class Stage(models.TextChoices):
        LEAD = "lead"
        QUALIFIED = "qualified"
        PROPOSAL = "proposal"
        WON = "won"
        LOST = "lost"

    class Tag(models.TextChoices):
        RENEWAL = "renewal"
        UPSELL = "upsell"
        NEW = "new"

    title = models.CharField(max_length=120)
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="deals")
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.LEAD)
    amount = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
    )
    probability = models.IntegerField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    closes_on = models.DateField(null=True, blank=True)
    tags = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.title


class CreationKey(models.Model):
    """An `Idempotency-Key` that was sent with a POST, and the record that POST made."""

    LIFE = timedelta(days=1)

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    resource = models.CharField(max_length=20)
    key = models.CharField(max_length=200)
    record_id = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "resource", "key"], name="one_record_per_key"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def is_alive(self) -> bool:
        return timezone.now() - self.created_at < self.LIFE
