"""The accounts document of offline rating: who is open, on which tariffs, with what prepaid."""

from collections import Counter
from typing import Any

from pydantic import Field, RootModel

from engine.adapters.documents.account_orders import AssignDocument, OpenDocument
from engine.adapters.documents.fields import Currency
from engine.adapters.documents.grants import GrantDocument, LimitDocument, Named
from engine.adapters.documents.reading import validate
from engine.rating.command import IssueGrant, Order, SetLimit
from engine.rating.errors import InvalidDocument


class AccountDocument(OpenDocument):
    """An account to open, and what it is given before its first usage."""

    account_id: Named = Field(description="Who pays.")
    currency: Currency = Field(description="ISO 4217 code.")
    tariffs: list[AssignDocument] = Field(default=[], description="Assigned in this order.")
    grants: list[GrantDocument] = Field(default=[], description="Given in this order.")
    limits: list[LimitDocument] = Field(default=[], description="Set before any usage.")

    def orders(self) -> list[Order]:
        """Return the orders, in the order in which they are to be applied."""
        return [
            self.order(),
            *(assignment.order() for assignment in self.tariffs),
            *(IssueGrant(grant.build()) for grant in self.grants),
            *(SetLimit(limit.build()) for limit in self.limits),
        ]


class AccountsDocument(RootModel[list[AccountDocument]]):
    """The accounts of an offline rating."""


AccountOrders = dict[str, list[Order]]
"""The orders that open each account and set it up, in the order in which they are applied."""


def parse_accounts(data: Any, name: str) -> AccountOrders:
    """Return the orders that a document describes; InvalidFile with every problem otherwise."""

    def build(document: AccountsDocument) -> AccountOrders:
        ids = [row.account_id for row in document.root]
        twice = [account_id for account_id, count in Counter(ids).items() if count > 1]
        if twice:
            raise InvalidDocument("account_id", twice[0], "each account once")
        return {row.account_id: row.orders() for row in document.root}

    return validate(AccountsDocument, data, name, build)
