"""What lists can be narrowed by, and the order of their pages."""

from django.db import models
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from crm.models import Contact, Deal

TEXT = ["exact", "in", "icontains"]
CHOICE = ["exact", "in"]
NUMBER = ["exact", "in", "gte", "lte"]
TIME = ["exact", "gte", "lte"]


class StableOrdering(OrderingFilter):
    """Orders equal records by id, or a record could be on two pages and another on none."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: APIView) -> QuerySet:
        ordered = super().filter_queryset(request, queryset, view)
        return ordered.order_by(*ordered.query.order_by, "id")


class ContactFilter(filters.FilterSet):
    class Meta:
        model = Contact
        fields = {
            "id": NUMBER,
            "name": TEXT,
            "email": TEXT,
            "company": TEXT,
            "phone": TEXT,
            "status": CHOICE,
            "is_vip": ["exact"],
            "birthday": TIME,
            "notes": ["icontains"],
            "created_at": TIME,
            "updated_at": TIME,
        }


class DealFilter(filters.FilterSet):
    class Meta:
        model = Deal
        fields = {
            "id": NUMBER,
            "title": TEXT,
            "contact": CHOICE,
            "contact__name": TEXT,
            "stage": CHOICE,
            "amount": NUMBER,
            "probability": NUMBER,
            "closes_on": TIME,
            "tags": ["icontains"],
            "notes": ["icontains"],
            "created_at": TIME,
            "updated_at": TIME,
        }
        filter_overrides = {models.JSONField: {"filter_class": filters.CharFilter}}
