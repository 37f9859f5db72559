"""Drops orders that are tests: those that come from networks of ours, or of customers whose mail address gives them away."""

import ipaddress
import re
from dataclasses import dataclass, field as setting

from tidegate_sdk import Reject, field, fields, filter


@dataclass
class Settings:
    networks: list[str] = setting(default_factory=list)
    mail: str | None = None


@fields
class Order:
    address: str | None
    mail: str | None = field(path="customer.mail")


@filter
class NoTestOrders:
    def __init__(self, settings: Settings):
        if not settings.networks and settings.mail is None:
            raise ValueError("neither `networks` nor `mail` is set, so nothing would be dropped")
        self.networks = [ipaddress.ip_network(network) for network in settings.networks]
        try:
            self.mail = settings.mail and re.compile(settings.mail, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"`mail` is no regular expression: {error}") from error

    def filter(self, order: Order) -> bool:
        if self.mail and order.mail is not None and self.mail.search(order.mail):
            return False
        return order.address is None or not self.is_ours(order.address)

    def is_ours(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise Reject(str(error)) from error
        return any(address in network for network in self.networks)
