"""Account orders as documents: one object says which account, what to do, and who asks.

The bulk form of every `tollbook account` command. `do` names the command; the other fields are its
words, those of a grant and a limit as in `engine.adapters.documents.grants`. The *key* is what makes
a command act once: give the number that your own system has for it. Left out, it is made from the
content, so the same file can be sent again.
"""

from functools import cache
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from engine.adapters.documents.fields import Currency, DocumentModel, Identifier, Moment
from engine.adapters.documents.grants import (
    Amount,
    Days,
    GrantDocument,
    GrantId,
    LimitDocument,
    Named,
    SignedAmount,
)
from engine.adapters.documents.reading import validate
from engine.adapters.zones import freeze_zone
from engine.rating.command import (
    AccountCommand,
    Adjust,
    AdoptVersion,
    Approve,
    AssignTariff,
    ClosePeriod,
    IssueGrant,
    OpenAccount,
    Order,
    RechargeBucket,
    SetLimit,
    VoidGrant,
)
from engine.rating.errors import InvalidDocument
from engine.rating.month import month_of
from engine.rating.period import FIRST_INSTANT, UTC_ZONE, instant

frozen_zone = cache(freeze_zone)
"""Freezing a zone reads fifty years of it; once per zone is enough."""

Overage = Literal["priced", "suspended"]


def content_id(account_id: str, order: Order) -> str:
    """Return an idempotency key made from a command's content."""
    return sha256(repr((account_id, type(order).__name__, order)).encode()).hexdigest()[:24]


class OpenDocument(DocumentModel):
    """What opens an account."""

    currency: Currency = Field(default="USD", description="ISO 4217 code.")
    time_zone: str = Field(default="UTC", description="IANA zone; months are counted in it.")
    close_grace_days: Days = Field(
        default=0, description="How long after its end a month may be closed first."
    )

    def order(self) -> Order:
        """Return the order. InvalidDocument for a zone that does not exist."""
        return OpenAccount(self.currency, frozen_zone(self.time_zone), self.close_grace_days)


class AssignDocument(DocumentModel):
    """A tariff for usage in [effective_from, effective_to)."""

    tariff_id: Identifier = Field(description="A published tariff in the account's currency.")
    effective_from: Moment | None = Field(
        default=None, description="First time of use; left out: from the beginning."
    )
    effective_to: Moment | None = Field(default=None, description="First time of use after it.")
    overage: Overage = Field(
        default="priced", description="What becomes of usage that no bucket covers."
    )

    def order(self) -> Order:
        """Return the order."""
        return AssignTariff(
            self.tariff_id,
            FIRST_INSTANT if self.effective_from is None else instant(self.effective_from),
            None if self.effective_to is None else instant(self.effective_to),
            self.overage,
        )


class _Line(DocumentModel):
    account_id: Named = Field(description="Who pays.")
    key: Named | None = Field(default=None, description="Idempotency key; left out: of content.")
    principal: Named | None = Field(default=None, description="Who asks, for the record.")
    needs_approval: bool | None = Field(
        default=None, strict=True, description="It waits until a second principal approves it."
    )


class OpenLine(_Line, OpenDocument):
    """Opens an account."""

    do: Literal["open"]


class AssignLine(_Line, AssignDocument):
    """Assigns a tariff."""

    do: Literal["assign"]


class GrantLine(_Line, GrantDocument):
    """Gives a grant."""

    do: Literal["grant"]

    def order(self) -> Order:
        """Return the order."""
        return IssueGrant(self.build())


class RechargeLine(_Line):
    """Puts more into an open bucket."""

    do: Literal["recharge"]
    bucket: Named
    amount: Amount
    unit: Literal["", "tokens", "money"] = ""

    def order(self) -> Order:
        """Return the order."""
        return RechargeBucket(self.bucket, self.amount, self.unit)


class VoidGrantLine(_Line):
    """Takes a grant back."""

    do: Literal["void-grant"]
    grant_id: GrantId

    def order(self) -> Order:
        """Return the order."""
        return VoidGrant(self.grant_id)


class LimitLine(_Line, LimitDocument):
    """Sets a limit, or takes it away."""

    do: Literal["limit"]

    def order(self) -> Order:
        """Return the order."""
        return SetLimit(self.build())


class AdjustLine(_Line):
    """Changes what the account owes."""

    do: Literal["adjust"]
    amount: SignedAmount
    reason: Named
    occurred_at: Moment | None = None
    corrects: Named | None = None

    def order(self) -> Order:
        """Return the order."""
        at = None if self.occurred_at is None else instant(self.occurred_at)
        return Adjust(self.amount, self.reason, at, self.corrects or "")


class AdoptLine(_Line):
    """Rates with a staged version from now on."""

    do: Literal["adopt"]
    tariff_id: Identifier
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]

    def order(self) -> Order:
        """Return the order."""
        return AdoptVersion(self.tariff_id, self.version)


class ApproveLine(_Line):
    """Lets a command of another principal take effect."""

    do: Literal["approve"]
    command_id: Named

    def order(self) -> Order:
        """Return the order."""
        return Approve(self.command_id)


class ClosePeriodLine(_Line):
    """Closes a billing month."""

    do: Literal["close-period"]
    period: str

    def order(self) -> Order:
        """Return the order. InvalidDocument for what is no month."""
        return close_period(self.period, "period")


def close_period(period: str, place: str) -> ClosePeriod:
    """Return the order that closes a billing month. InvalidDocument for what is no month."""
    if month_of(period, UTC_ZONE) is None:
        raise InvalidDocument(place, period, "a month such as 2026-11 from 2000 to 2049")
    return ClosePeriod(period)


AnyLine = (
    OpenLine
    | AssignLine
    | GrantLine
    | RechargeLine
    | VoidGrantLine
    | LimitLine
    | AdjustLine
    | AdoptLine
    | ApproveLine
    | ClosePeriodLine
)


class OrderDocument(RootModel[Annotated[AnyLine, Field(discriminator="do")]]):
    """One order to one account."""


def parse_order(
    data: Any, name: str, principal: str = "", *, needs_approval: bool = False
) -> AccountCommand:
    """Return the command that a document describes; InvalidFile with every problem otherwise.

    `principal` and `needs_approval` hold where the document says nothing.
    """

    def build(document: OrderDocument) -> AccountCommand:
        line = document.root
        order = line.order()
        waits = needs_approval if line.needs_approval is None else line.needs_approval
        command = AccountCommand(
            line.key or content_id(line.account_id, order),
            line.account_id,
            line.principal or principal,
            order,
            waits and not isinstance(order, Approve),
        )
        return check_command(command)

    return validate(OrderDocument, data, name, build)


def check_command(command: AccountCommand) -> AccountCommand:
    """Return the command; InvalidDocument if somebody must have asked and nobody has."""
    if not command.principal and (command.needs_approval or isinstance(command.order, Approve)):
        raise InvalidDocument("principal", command.principal, "who asks: two are needed to agree")
    return command
