"""
What the tools do: a bank's accounts and a taxi rank's rides, in tables of their own making.

A desk's answer is (HTTP status, body by the channels of Holdfast's tools). Pure but for the tables that it changes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Answer = tuple[int, dict[str, Any]]
Row = Mapping[str, Any]
NOT_FOUND: Final = 404
FIRST_NUMBER: Final = 1_001


def said(data: Any, **fields: str) -> dict[str, Any]:
    """A body that says *data*, and gives *fields* to templates."""
    return {"holdfast": {"data": data, "fields": fields}}


@dataclass(slots=True)
class Desks:
    """The accounts and the rides, what was reported and booked, and the tools that act on them."""

    accounts: Sequence[Row]
    rides: Sequence[Row]
    reports: list[Row] = field(default_factory=list)
    bookings: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)

    def bank_balance(self, given: Row) -> Answer:
        """The balance of an account whose owner is known by name, number and date of birth."""
        account = self._account(given)
        if account is None:
            return NOT_FOUND, said("There is no account with this name, number and date of birth.")
        balance = f"{account['BankBalance']:.2f} euros"
        text = f"The balance of account {account['AccountNumber']} at {account['BankName']} is {balance}."
        return 200, said(text, balance=balance, account=account["AccountNumber"])

    def bank_fraud_report(self, given: Row) -> Answer:
        """Submit a fraud report."""
        account = self._account(given)
        if account is None:
            return NOT_FOUND, said("There is no account with this name, number and date of birth.")
        number = f"FR-{FIRST_NUMBER + len(self.reports)}"
        self.reports.append({"ReportId": number, "FraudReport": given.get("report", "")})
        text = f"The fraud report was submitted under the number {number}. The account is now blocked for payments."
        return 200, said(text, report_number=number)

    def ride_search(self, given: Row) -> Answer:
        """The rides that could come now, the cheapest first."""
        wanted = given.get("provider")
        found = sorted(
            (ride for ride in self.rides if wanted in (None, "", ride["ServiceProvider"])),
            key=lambda ride: ride["Price"],
        )
        if not found:
            return NOT_FOUND, said("No ride is available now.")
        offers = [
            f"{ride['ServiceProvider']} with {ride['DriverName']} in a {ride['CarModel']}: {ride['Price']} euros, "
            f"pick-up in {ride['MinutesTillPickup']} minutes."
            for ride in found
        ]
        return 200, said(offers)

    def ride_book(self, given: Row) -> Answer:
        """Book the cheapest ride of a provider."""
        wanted = given.get("provider", "")
        free = [ride for ride in self.rides if wanted in ("", ride["ServiceProvider"])]
        if not free:
            return NOT_FOUND, said("No ride is available now.")
        ride = min(free, key=lambda one: one["Price"])
        number = f"R-{FIRST_NUMBER + len(self.bookings)}"
        self.bookings.append({"BookingId": number, "RideId": ride["RideId"]})
        text = (
            f"The ride from {given.get('departure', '')} to {given.get('arrival', '')} is booked under the number "
            f"{number}: {ride['ServiceProvider']}, licence plate {ride['LicensePlate']}, {ride['Price']} euros."
        )
        return 200, said(text, booking_number=number, licence_plate=ride["LicensePlate"])

    def register_order(self, given: Row) -> Answer:
        """Register an order."""
        number = f"O-{FIRST_NUMBER + len(self.orders)}"
        self.orders.append({"OrderId": number, "Order": given.get("order", "")})
        return 200, said(f"The order {given.get('order', '')} was registered under the number {number}.", order=number)

    def _account(self, given: Row) -> Row | None:
        keys = (("full_name", "FullName"), ("account_number", "AccountNumber"), ("date_of_birth", "DateOfBirth"))
        return next(
            (
                account
                for account in self.accounts
                if all(str(given.get(name, "")).casefold() == account[key].casefold() for name, key in keys)
            ),
            None,
        )


READING: Final[Mapping[str, Callable[[Desks, Row], Answer]]] = {
    "bank_balance": Desks.bank_balance,
    "ride_search": Desks.ride_search,
}
CHANGING: Final[Mapping[str, Callable[[Desks, Row], Answer]]] = {
    "bank_fraud_report": Desks.bank_fraud_report,
    "ride_book": Desks.ride_book,
    "register_order": Desks.register_order,
}
