"""How contacts and deals are written as JSON, and what makes one of them invalid."""

from typing import Any

from rest_framework import serializers

from crm.models import Contact, Deal


class ContactSerializer(serializers.ModelSerializer):
    class Meta:
        model = Contact
        fields = [
            "id",
            "name",
            "email",
            "company",
            "phone",
            "status",
            "is_vip",
            "birthday",
            "photo",
            "notes",
            "created_at",
            "updated_at",
        ]


class DealSerializer(serializers.ModelSerializer):
    contact_name = serializers.CharField(source="contact.name", read_only=True)
    tags = serializers.MultipleChoiceField(choices=Deal.Tag.choices, required=False)

    class Meta:
        model = Deal
        fields = [
            "id",
            "title",
            "contact",
            "contact_name",
            "stage",
            "amount",
            "probability",
            "closes_on",
            "tags",
            "notes",
            "created_at",
            "updated_at",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        stage = attrs.get("stage", getattr(self.instance, "stage", None))
        closes_on = attrs.get("closes_on", getattr(self.instance, "closes_on", None))
        if stage == Deal.Stage.WON and closes_on is None:
            raise serializers.ValidationError("A won deal needs the date it closes on.")
        return attrs
