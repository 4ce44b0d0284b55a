"""The fixed contacts, deals and people of a fresh database: computed, but the same every time."""

import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from crm.models import Contact, Deal
from crm.permissions import VIEWER

PASSWORD = "sandbox"
PEOPLE = [
    ("ada", "Ada Lindqvist", "sales manager"),
    ("ben", "Ben Okafor", "sales"),
    ("vera", "Vera Costa", VIEWER),
]

CONTACTS = 60
DEALS = 80
# The last ten contacts have no deals.
CONTACTS_WITH_DEALS = 50

START = datetime(2025, 1, 6, 9, tzinfo=UTC)

# 20 and 15 meet again only after 60, so that no two contacts have the same name.
FIRST_NAMES = (
    "Amara Björn Chloé Dmitri Elena Farid Grace Hiro Inês José "
    "Karin Liam Mei Noah Olga Pedro Quinn Rosa Sven Zoë"
).split()
LAST_NAMES = (
    "Abara Bergström Costa Dubois Evans Fischer Gómez Haddad Ito Jansen "
    "Kowalska Lefèvre Müller Nakamura Owens"
).split()
COMPANIES = [
    "Northwind Traders",
    "Harbor Freight Lines",
    "Bluebird Bakery",
    "Cobalt Robotics",
    "Juniper Clinics",
    "Lantern Books",
    "Meridian Tools",
    "Orchard Foods",
    "Pinecrest Hotels",
    "Quarry Stoneworks",
    "Saltmarsh Energy",
    "Tidewater Marine",
]
PRODUCTS = ["Starter plan", "Team plan", "Support contract", "Data migration", "Training week"]
STAGES = [
    (Deal.Stage.LEAD, 10),
    (Deal.Stage.QUALIFIED, 35),
    (Deal.Stage.PROPOSAL, 60),
    (Deal.Stage.WON, 100),
    (Deal.Stage.LOST, 0),
]
TAGS = [
    [],
    [Deal.Tag.NEW],
    [Deal.Tag.RENEWAL],
    [Deal.Tag.UPSELL],
    [Deal.Tag.RENEWAL, Deal.Tag.UPSELL],
]


def contacts() -> Iterator[Contact]:
    statuses = Contact.Status.values
    for i in range(CONTACTS):
        first, last = FIRST_NAMES[i % len(FIRST_NAMES)], LAST_NAMES[i % len(LAST_NAMES)]
        company = COMPANIES[i % len(COMPANIES)]
        yield Contact(
            id=i + 1,
            name=f"{first} {last}",
            email=f"{plain(first)}.{plain(last)}@{plain(company)}.example",
            company=company,
            phone=f"+44 20 7946 {i:04}",
            status=statuses[i % len(statuses)],
            is_vip=i % 7 == 0,
            birthday=None if i % 4 == 3 else date(1960 + i % 40, 1 + i % 12, 1 + i % 28),
            notes=f"Met at the {company} open day." if i % 5 == 0 else "",
            **times(i),
        )


def deals() -> Iterator[Deal]:
    for i in range(DEALS):
        contact = i * 11 % CONTACTS_WITH_DEALS
        stage, probability = STAGES[i % len(STAGES)]
        is_dated = stage == Deal.Stage.WON or i % 4 != 0
        yield Deal(
            id=i + 1,
            title=f"{PRODUCTS[i // 3 % len(PRODUCTS)]} for {COMPANIES[contact % len(COMPANIES)]}",
            contact_id=contact + 1,
            stage=stage,
            amount=Decimal(400 + i * 737 % 24_000) + Decimal(i % 4 * 25) / 100,
            probability=probability,
            closes_on=date(2025, 2, 3) + timedelta(days=i * 5) if is_dated else None,
            tags=TAGS[i // 2 % len(TAGS)],
            notes="Wants an answer before the end of the quarter." if i % 6 == 0 else "",
            **times(i),
        )


def times(i: int) -> dict[str, datetime]:
    created = START + timedelta(hours=i)
    return {"created_at": created, "updated_at": created + timedelta(minutes=i)}


def plain(name: str) -> str:
    """The letters of a name as they can stand in an email address."""
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
