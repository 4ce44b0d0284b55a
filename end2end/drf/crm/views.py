"""The API: contacts, which notice when they changed in between, and deals, which do not."""

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.http import parse_etags
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from crm.filters import ContactFilter, DealFilter
from crm.models import Contact, CreationKey, Deal
from crm.serializers import ContactSerializer, DealSerializer


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class PreconditionFailed(APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = "precondition_failed"
    default_detail = "This record has changed since it was read."


class RecordViewSet(ModelViewSet):
    """Checks and writes in one transaction, so that no other write comes in between."""

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key")
        if not key:
            return super().create(request, *args, **kwargs)
        if len(key) > CreationKey._meta.get_field("key").max_length:
            raise ParseError("The Idempotency-Key is too long.")
        sent = {"user": request.user, "resource": self.basename, "key": key}
        earlier = CreationKey.objects.filter(**sent).first()
        if earlier and earlier.is_alive:
            return self.answer_again(earlier)
        response = super().create(request, *args, **kwargs)
        CreationKey.objects.update_or_create(
            **sent, defaults={"record_id": response.data["id"], "created_at": timezone.now()}
        )
        return response

    def answer_again(self, earlier: CreationKey) -> Response:
        record = self.get_queryset().filter(pk=earlier.record_id).first()
        if record is None:
            raise Conflict("The record made with this Idempotency-Key has been deleted.")
        return Response(self.get_serializer(record).data)

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().update(request, *args, **kwargs)

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)


class ContactViewSet(RecordViewSet):
    """People and the companies they work for."""

    queryset = Contact.objects.all()
    serializer_class = ContactSerializer
    filterset_class = ContactFilter
    search_fields = ["name", "email", "company", "phone", "notes"]
    ordering_fields = [
        "id",
        "name",
        "email",
        "company",
        "status",
        "is_vip",
        "birthday",
        "created_at",
        "updated_at",
    ]

    def get_object(self) -> Contact:
        contact = super().get_object()
        if self.request.method in {"PUT", "PATCH", "DELETE"}:
            wanted = self.request.headers.get("If-Match")
            if wanted is not None and not {"*", contact.etag} & set(parse_etags(wanted)):
                raise PreconditionFailed
        return contact

    def perform_destroy(self, instance: Contact) -> None:
        try:
            instance.delete()
        except ProtectedError as error:
            count = len(error.protected_objects)
            deals = "a deal" if count == 1 else f"{count} deals"
            raise Conflict(f"{instance.name} has {deals} and cannot be deleted.") from error

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """The data of one record, and only that, knows the serializer it came from."""
        response = super().finalize_response(request, response, *args, **kwargs)
        serializer = getattr(response.data, "serializer", None)
        if isinstance(serializer, ContactSerializer) and not response.exception:
            response["ETag"] = serializer.instance.etag
        return response


class DealViewSet(RecordViewSet):
    """What is being sold, and how far along it is."""

    queryset = Deal.objects.select_related("contact")
    serializer_class = DealSerializer
    filterset_class = DealFilter
    search_fields = ["title", "notes", "contact__name", "contact__company"]
    ordering_fields = [
        "id",
        "title",
        "contact",
        "contact__name",
        "stage",
        "amount",
        "probability",
        "closes_on",
        "created_at",
        "updated_at",
    ]

    @action(detail=True, methods=["post"])
    @transaction.atomic
    def win(self, request: Request, pk: str | None = None) -> Response:
        deal = self.get_object()
        deal.stage = Deal.Stage.WON
        deal.closes_on = deal.closes_on or timezone.localdate()
        deal.save()
        return Response(self.get_serializer(deal).data)
