"""The accounts document of offline rating: who is open, and on which tariffs."""

from collections import Counter
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from engine.adapters.documents.fields import Currency, Identifier
from engine.adapters.documents.reading import validate
from engine.adapters.zones import freeze_zone
from engine.rating.command import AssignTariff, OpenAccount
from engine.rating.errors import InvalidDocument
from engine.rating.period import FIRST_INSTANT, instant
from engine.rating.usage import MAX_TEXT


class AssignmentDocument(BaseModel):
    """A tariff for usage in [effective_from, effective_to)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tariff_id: Identifier
    effective_from: AwareDatetime | None = None
    effective_to: AwareDatetime | None = None

    def build(self) -> AssignTariff:
        """Return the order; without effective_from, from the beginning."""
        return AssignTariff(
            self.tariff_id,
            FIRST_INSTANT if self.effective_from is None else instant(self.effective_from),
            None if self.effective_to is None else instant(self.effective_to),
        )


class AccountDocument(BaseModel):
    """An account to open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account_id: Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TEXT)]
    currency: Currency
    time_zone: str = "UTC"
    tariffs: list[AssignmentDocument] = []


class AccountsDocument(RootModel[list[AccountDocument]]):
    """The accounts of an offline rating."""


AccountOrders = dict[str, list[OpenAccount | AssignTariff]]
"""The orders that open each account and assign its tariffs, in the document's order."""


def parse_accounts(data: Any, name: str) -> AccountOrders:
    """Return the orders that a document describes; InvalidFile with every problem otherwise."""

    def build(document: AccountsDocument) -> AccountOrders:
        ids = [row.account_id for row in document.root]
        twice = [account_id for account_id, count in Counter(ids).items() if count > 1]
        if twice:
            raise InvalidDocument("account_id", twice[0], "each account once")
        return {
            row.account_id: [
                OpenAccount(row.currency, freeze_zone(row.time_zone)),
                *(assignment.build() for assignment in row.tariffs),
            ]
            for row in document.root
        }

    return validate(AccountsDocument, data, name, build)
