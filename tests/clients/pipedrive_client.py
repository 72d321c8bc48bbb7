"""Drives a Pipedrive simulator and holds every answer against Pipedrive's own OpenAPI files.

Pipedrive has no Python client of its own. What it does have is a description of each answer, and
`pipedrive_schemas.json` is an excerpt of it (versions of 2026-08-18: the schemas of the answers used here, without
prose). The simulator was written against documents; where it agrees with these schemas, it is not by our misreading.
It goes through the account, pages, the catalogue, filters, writes of each type, refusals, leads, search and OAuth.

    pip install -r tests/clients/requirements.txt
    infill sim pipedrive --port 8090 &
    python tests/clients/pipedrive_client.py --base-url http://127.0.0.1:8090

The simulator must be freshly started with the bundled people. `INFILL_SIM_URL` and `INFILL_SIM_TOKEN` stand in
for the arguments. Exits 1 when anything differs.
"""

import argparse
import json
import os
import pathlib
import sys

import requests
from jsonschema import Draft7Validator

MEMBERS_OF_CONGRESS = 537
ID, OTHER_ID, MISSING_ID = 100001, 100002, 5
TIMEOUT_S = 30


class Check:
    """Counts what holds and what does not, and goes on after a failure."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def equal(self, what, actual, expected):
        self.true(f"{what}: expected {expected!r}, got {actual!r}", actual == expected)

    def true(self, what, holds):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}")


def json_schema(node):
    """An OpenAPI 3.0 schema as a JSON Schema.

    A value may be null wherever it has a type: the files mark few fields as nullable, and Pipedrive answers null for
    most fields without a value.
    """
    if isinstance(node, list):
        return [json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    schema = {key: json_schema(value) for key, value in node.items() if key != "nullable"}
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list):
        schema["enum"] = schema["enum"] + [None]
    return schema


class Client:
    """Calls with one token; answers of success are validated."""

    def __init__(self, check, base_url, headers):
        text = (pathlib.Path(__file__).parent / "pipedrive_schemas.json").read_text(encoding="utf-8")
        self.schemas = {name: Draft7Validator(json_schema(schema)) for name, schema in json.loads(text).items()}
        self.check = check
        self.base_url = base_url
        self.session = requests.Session()
        self.session.headers.update(headers)
        self.validated = set()

    def call(self, name, body=None, key=None, **query):
        """Calls an operation such as `GET /api/v2/persons/{id}` and returns the answer."""
        method, path = name.split(" ")
        path = path.replace("{id}", str(key)).replace("{field_code}", str(key))
        answer = self.session.request(method, self.base_url + path, json=body, params=query, timeout=TIMEOUT_S)
        if answer.ok:
            self.check.true(f"{name} is described", name in self.schemas)
            faults = [f"{list(fault.path)}: {fault.message[:200]}" for fault in self.schemas[name].iter_errors(answer.json())]
            self.check.equal(f"{name} against its schema", faults[:3], [])
            self.validated.add(name)
        return answer

    def data(self, name, **arguments):
        answer = self.call(name, **arguments)
        self.check.equal(f"status of {name}", answer.status_code, 200)
        return answer.json()["data"]

    def refused(self, name, status, **arguments):
        """The text of a refusal."""
        answer = self.call(name, **arguments)
        self.check.equal(f"status of {name} with {arguments}", answer.status_code, status)
        self.check.equal(f"success of {name}", answer.json()["success"], False)
        return answer.json()["error"]


def account(check, client):
    """Who we are, and the pipelines."""
    me = client.data("GET /v1/users/me")
    check.equal("company domain", me["company_domain"], "acme-sandbox")
    stages = client.data("GET /api/v2/stages")
    pipelines = {each["id"] for each in client.data("GET /api/v2/pipelines")}
    check.equal("pipelines of stages", {each["pipeline_id"] for each in stages}, pipelines)


def pages(check, client):
    """Every person once, by cursor; ids; the other kinds of records."""
    ids, cursor = [], None
    while True:
        query = {"limit": 500, **({"cursor": cursor} if cursor else {})}
        answer = client.call("GET /api/v2/persons", **query)
        ids += [each["id"] for each in answer.json()["data"]]
        cursor = answer.json()["additional_data"]["next_cursor"]
        if cursor is None:
            break
    check.equal("persons", (len(ids), len(set(ids)), ids[0]), (MEMBERS_OF_CONGRESS, MEMBERS_OF_CONGRESS, ID))
    check.true("limits of the window", answer.headers["x-ratelimit-limit"].isdigit())
    found = client.data("GET /api/v2/persons", ids=f"{ID},{MISSING_ID},{OTHER_ID}")
    check.equal("ids that exist", [each["id"] for each in found], [ID, OTHER_ID])
    check.equal("a person", client.data("GET /api/v2/persons/{id}", key=ID), found[0])
    for kind in ("organizations", "deals", "products", "activities"):
        check.true(kind, len(client.data(f"GET /api/v2/{kind}")) > 0)
    archived = client.data("GET /api/v2/deals/archived")
    check.equal("archived deals", [each["is_archived"] for each in archived], [True])
    refused = client.refused("GET /api/v2/persons", 400, updated_since="2026-01-01T00:00:00.000Z")
    check.true("fractions of seconds are refused", "not a valid datetime" in refused)


def catalogue(client, kind):
    """The fields of a kind of record by name."""
    fields, cursor = [], None
    while True:
        query = {"limit": 10, **({"cursor": cursor} if cursor else {})}
        answer = client.call(f"GET /api/v2/{kind}Fields", **query).json()
        fields += answer["data"]
        cursor = answer["additional_data"]["next_cursor"]
        if cursor is None:
            return {each["field_name"]: each for each in fields}


def fields(check, client):
    """Custom fields of every type, in every catalogue."""
    for kind in ("person", "organization", "deal"):
        custom = [each for each in catalogue(client, kind).values() if each["is_custom_field"]]
        check.true(f"codes of {kind} fields", all(len(each["field_code"]) == 40 for each in custom))
        check.true(f"types of {kind} fields", len({each["field_type"] for each in custom}) == 17)


def writes(check, client):
    """A value of each type, whole arrays, and what the answer shows."""
    known = catalogue(client, "person")
    code = lambda name: known[name]["field_code"]
    option = lambda name, nth: known[name]["options"][nth]["id"]
    values = {
        "Greeting": 'Grüße an "Maria" & Amy',
        "Background": "one\ntwo",
        "Score": 1.5,
        "Seats": 7,
        "Budget": {"value": 10.5, "currency": "EUR"},
        "Renewal date": "2027-02-28",
        "Trial period": {"value": "2027-01-01", "until": "2027-02-01"},
        "Best time to call": {"value": "09:30:00", "timezone_name": "Europe/Berlin"},
        "Office hours": {"value": "09:00:00", "until": "17:00:00", "timezone_name": "Europe/Berlin"},
        "Tier": option("Tier", 2),
        "Interests": [option("Interests", 0), option("Interests", 3)],
        "Account manager": 12,
        "Partner": 7001,
        "Referred by": OTHER_ID,
    }
    body = {"custom_fields": {code(name): value for name, value in values.items()}}
    written = client.data("PATCH /api/v2/persons/{id}", key=ID, body=body)
    for name, value in values.items():
        check.equal(f"{name} as written", written["custom_fields"][code(name)], value)
    check.equal("read back", client.data("GET /api/v2/persons/{id}", key=ID), written)
    cleared = {"custom_fields": {code(name): None for name in values}}
    written = client.data("PATCH /api/v2/persons/{id}", key=ID, body=cleared)
    check.equal("cleared", {written["custom_fields"][code(name)] for name in values}, {None})

    phones = [{"value": "1", "label": "home"}, {"value": "2", "primary": True}]
    written = client.data("PATCH /api/v2/persons/{id}", key=ID, body={"phones": phones})
    check.equal("primary phone", [each["value"] for each in written["phones"] if each["primary"]], ["2"])
    address = client.data("PATCH /api/v2/organizations/{id}", key=7001, body={"address": {"value": "2 Side St"}})["address"]
    check.equal("parts of an address", {value for part, value in address.items() if part != "value"}, {None})
    deal = client.data("PATCH /api/v2/deals/{id}", key=8001, body={"status": "lost", "lost_reason": "Price"})
    check.true("lost time", deal["lost_time"] is not None)

    patch = "PATCH /api/v2/persons/{id}"
    tier = code("Tier")
    text = client.refused(patch, 400, key=ID, body={"custom_fields": {tier: "5"}})
    check.true(text, text.startswith("Validation failed: custom_fields: Expected 'number' as value for single option custom field"))
    text = client.refused(patch, 400, key=ID, body={tier: 5})
    check.equal("a code at the top", text, f"Validation failed: {tier}: Parameter '{tier}' is not allowed for this request")
    text = client.refused(patch, 400, key=ID, body={"custom_fields": {"gone": 1}})
    check.equal("an unknown code", text, "Validation failed: custom_fields: Unknown key 'gone'")
    client.refused(patch, 500, key=ID, body={"custom_fields": {"custom_fields": {}}})
    client.refused(patch, 403, key=ID, body={"job_title": "Senator"})
    client.refused(patch, 404, key=MISSING_ID, body={"name": "Nobody"})


def filters(check, client):
    """A filter made, read, and used; those that are there."""
    check.true("visible filters", len(client.data("GET /v1/filters")) == 9)
    leads = client.data("GET /v1/leadFields", limit=500)
    check.true("fields of leads", any(each["key"] == "title" for each in leads))
    given = client.data("GET /v1/filters/{id}", key=2, include_field_code="true")
    condition = given["conditions"]["conditions"][0]["conditions"][0]
    made = client.data("POST /v1/filters", body={"name": "Mine", "type": "people", "conditions": given["conditions"]})
    without = client.data("GET /api/v2/persons", filter_id=made["id"], limit=500)
    check.equal("members", len(without), 500)
    body = {"custom_fields": {condition["field_code"]: "Hello"}}
    client.data("PATCH /api/v2/persons/{id}", key=OTHER_ID, body=body)
    left = client.data("GET /api/v2/persons", filter_id=made["id"])
    check.true("a written person leaves", OTHER_ID not in [each["id"] for each in left])


def leads(check, client):
    """A page of leads, and a lead written."""
    page = client.call("GET /v1/leads", limit=5).json()
    check.equal("next page", page["additional_data"]["pagination"]["next_start"], 5)
    lead = client.data("PATCH /v1/leads/{id}", key=page["data"][0]["id"], body={"title": "New title"})
    check.equal("title", lead["title"], "New title")
    client.refused("PATCH /v1/leads/{id}", 400, key=lead["id"], body={"owner_id": "11"})


def search(check, client):
    """A person by a term."""
    found = client.data("GET /api/v2/persons/search", term="maria cantwell", fields="name", exact_match="true")
    check.equal("found", [each["item"]["id"] for each in found["items"]], [ID])


def oauth(check, base_url):
    """A refresh, what the fresh token opens, and an unknown token."""
    grant = {"grant_type": "refresh_token", "refresh_token": "sim-refresh-token"}
    login = ("sim-client-id", "sim-client-secret")
    granted = requests.post(f"{base_url}/oauth/token", data=grant, auth=login, timeout=TIMEOUT_S).json()
    check.equal("life of an access token", granted["expires_in"], 3599)
    fresh = Client(check, granted["api_domain"], {"Authorization": f"Bearer {granted['access_token']}"})
    fresh.data("GET /v1/users/me")
    stranger = Client(check, base_url, {"x-api-token": "not-a-token"})
    check.equal("an unknown token", stranger.refused("GET /v1/users/me", 401), "unauthorized access")


def ledger(check, base_url):
    """The simulator's own account of what this client wrote."""
    report = requests.get(f"{base_url}/_admin/ledger", timeout=TIMEOUT_S).json()
    persons = {each["record"] for each in report["writes"] if each["object"] == "persons"}
    check.equal("persons written", persons, {str(ID), str(OTHER_ID)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-url", default=os.environ.get("INFILL_SIM_URL", "http://127.0.0.1:8090"))
    parser.add_argument("--token", default=os.environ.get("INFILL_SIM_TOKEN", "sim-token"))
    args = parser.parse_args()
    base_url = args.base_url.rstrip("/")
    check = Check()
    client = Client(check, base_url, {"x-api-token": args.token})
    parts = {
        "account": lambda: account(check, client),
        "pages": lambda: pages(check, client),
        "fields": lambda: fields(check, client),
        "writes": lambda: writes(check, client),
        "filters": lambda: filters(check, client),
        "leads": lambda: leads(check, client),
        "search": lambda: search(check, client),
        "oauth": lambda: oauth(check, base_url),
        "ledger": lambda: ledger(check, base_url),
    }
    for name, part in parts.items():
        try:
            part()
        except Exception as error:  # One part that breaks must not hide the others.
            check.true(f"{name} broke: {type(error).__name__}: {error}", False)
    check.equal("schemas that no answer was held against", set(client.schemas) - client.validated, set())
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
