"""A Singer tap for the bill list on singer-sdk, as a Meltano user builds one; `peer_singer.sh` runs it."""

from typing import Any

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BasePageNumberPaginator
from singer_sdk.streams import RESTStream

TEXT, WHOLE, TIME, Property, Object = th.StringType, th.IntegerType, th.DateTimeType, th.Property, th.ObjectType
GATEWAY = Object(Property("reference", TEXT), Property("libelle", TEXT), Property("methode", TEXT))

PAYMENT = Object(Property("thirdparty_reference", TEXT), Property("amount", WHOLE), Property("gateway", GATEWAY))


class Pages(BasePageNumberPaginator):
    def has_more(self, response: Any) -> bool:
        return bool(response.json()["items"])


class Bills(RESTStream):
    name, path, primary_keys = "bills", "/orders", ("order_reference",)
    records_jsonpath = "$.items[*]"
    schema = th.PropertiesList(
        Property("order_reference", TEXT, required=True),
        *(Property(n, TEXT) for n in ("merchant_reference", "code", "state", "amount", "currency", "description")),
        Property("date_create", TIME),
        Property("received_amount", WHOLE),
        Property("bill_url", TEXT),
        Property("long_bill_url", TEXT),
        Property("client", Object(*(Property(n, TEXT) for n in ("phone", "lastname", "firstname")))),
        Property("gateway", GATEWAY),
        Property(
            "payments",
            th.ArrayType(
                Object(Property("thirdparty_reference", TEXT), Property("amount", WHOLE), Property("gateway", GATEWAY))
            ),
        ),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return str(self.config["base_url"])

    @property
    def authenticator(self) -> Any:
        return BearerTokenAuthenticator(token="made-up-token")

    def get_new_paginator(self) -> Any:
        return Pages(start_value=1)

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"page": next_page_token or 1, "limit": 100}


class TapBills(Tap):
    name = "tap-bills"
    config_jsonschema = th.PropertiesList(Property("base_url", TEXT, required=True)).to_dict()

    def discover_streams(self) -> list[Any]:
        return [Bills(self)]


if __name__ == "__main__":
    TapBills.cli()
