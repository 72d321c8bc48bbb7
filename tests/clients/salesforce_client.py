"""Drives a Salesforce simulator with simple-salesforce, the usual Python client.

The simulator was written against documents and recordings; this client was written against Salesforce. What both
agree on is not our misreading. It goes through logins, queries with pages, describe, single records, upserts,
collections and composite by the raw call, Bulk API 2.0, and the errors of each.

    pip install -r tests/clients/requirements.txt
    infill sim salesforce --port 8091 &
    python tests/clients/salesforce_client.py --base-url http://127.0.0.1:8091

The simulator must be freshly started with the bundled companies. `INFILL_SIM_URL` stands in for the argument.
Exits 1 when anything differs.
"""

import argparse
import csv
import io
import json
import os
import sys
import urllib.request

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, SalesforceLogin
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

COMPANIES = 503
SESSION = "sim-session"
CONSUMER_KEY, CONSUMER_SECRET = "sim-consumer-key", "sim-consumer-secret"
USERNAME = "integration@sim.example"
VERSION = "60.0"


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

    def raises(self, what, kind, call):
        """Checks that a call is refused in the client's own words, and returns the refusal."""
        try:
            call()
        except kind as error:
            self.passed += 1
            return error
        self.true(f"{what} is refused", False)
        return None


class ToSimulator(HTTPAdapter):
    """Sends what is meant for any host of Salesforce, always by HTTPS, to the simulator."""

    def __init__(self, base_url):
        super().__init__()
        self.base_url = base_url

    def send(self, request, *args, **kwargs):
        request.url = f"{self.base_url}{request.path_url}"
        return super().send(request, *args, **kwargs)


def web(base_url):
    """A session of requests that reaches the simulator."""
    session = requests.Session()
    session.mount("https://", ToSimulator(base_url))
    return session


def connect(base_url, session_id=SESSION):
    return Salesforce(
        instance_url="https://sim.my.salesforce.com", session_id=session_id, session=web(base_url), version=VERSION
    )


def logins(check, base_url):
    """The bearer assertion and the client credentials, as the client sends them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    session_id, instance = SalesforceLogin(
        username=USERNAME, consumer_key=CONSUMER_KEY, privatekey=key.decode(), session=web(base_url)
    )
    check.equal("instance", f"http://{instance}", base_url)
    counted = connect(base_url, session_id).query("SELECT COUNT() FROM Account")
    check.equal("companies by assertion", counted["totalSize"], COMPANIES)
    session_id, _ = SalesforceLogin(
        consumer_key=CONSUMER_KEY, consumer_secret=CONSUMER_SECRET, domain="sim.my", session=web(base_url)
    )
    check.true("a session by credentials", connect(base_url, session_id).limits()["DailyApiRequests"]["Max"] > 0)
    check.raises(
        "a wrong secret",
        SalesforceAuthenticationFailed,
        lambda: SalesforceLogin(
            consumer_key=CONSUMER_KEY, consumer_secret="wrong", domain="sim.my", session=web(base_url)
        ),
    )
    error = check.raises("a wrong session", SalesforceExpiredSession, lambda: connect(base_url, "wrong").limits())
    if error:
        check.equal("code of a wrong session", error.content[0]["errorCode"], "INVALID_SESSION_ID")


def queries(check, org):
    """Records page by page, deleted ones, and what a refused query says."""
    found = org.query_all("SELECT Id, Name, Owner.Name FROM Account ORDER BY Name")
    check.equal("companies", (found["totalSize"], found["done"], len(found["records"])), (COMPANIES, True, COMPANIES))
    names = [record["Name"] for record in found["records"]]
    check.equal("order", names, sorted(names, key=str.lower))
    check.equal("parent", found["records"][0]["Owner"]["Name"], "Integration User")
    check.equal("usage is told", "api-usage" in org.api_usage, True)

    paged = org.query("SELECT Id FROM Account", headers={"Sforce-Query-Options": "batchSize=200"})
    ids = [record["Id"] for record in paged["records"]]
    check.equal("first page", (len(ids), paged["done"]), (200, False))
    while not paged["done"]:
        paged = org.query_more(paged["nextRecordsUrl"], True)
        ids += [record["Id"] for record in paged["records"]]
    check.equal("every page", (len(ids), len(set(ids))), (COMPANIES, COMPANIES))
    for soql, code in [
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Nothing__c FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"),
    ]:
        error = check.raises(soql, SalesforceMalformedRequest, lambda: org.query(soql))
        if error:
            check.equal(f"code of {soql}", error.content[0]["errorCode"], code)
    all_of_them = list(org.query_all_iter("SELECT Id FROM Contact", include_deleted=True))
    check.equal("contacts", len(all_of_them), 180)


def describing(check, org):
    """Objects and fields."""
    check.true("Account is listed", "Account" in [each["name"] for each in org.describe()["sobjects"]])
    fields = {field["name"]: field for field in org.Account.describe()["fields"]}
    check.equal("length of Name", fields["Name"]["length"], 255)
    formula = fields["Revenue_per_Employee__c"]
    check.equal("formula", (formula["calculated"], formula["updateable"]), (True, False))
    values = [value["value"] for value in fields["Segment__c"]["picklistValues"]]
    check.equal("restricted values", values, ["Enterprise", "Mid-Market", "Small", "Retired"])
    views = org.restful("sobjects/Account/listviews")["listviews"]
    query = org.restful(f"sobjects/Account/listviews/{views[0]['id']}/describe")["query"]
    check.equal("records of the first view", org.query(query)["totalSize"], COMPANIES)


def records(check, org):
    """One record at a time."""
    made = org.Account.create({"Name": "Acme", "Score__c": 7.5})
    check.equal("made", (made["success"], made["errors"]), (True, []))
    record = org.Account.get(made["id"])
    check.equal("read", (record["Name"], record["Score__c"], record["IsDeleted"]), ("Acme", 7.5, False))
    check.equal("update", org.Account.update(made["id"], {"Greeting__c": "Hello", "Score__c": None}), 204)
    record = org.Account.get(made["id"])
    check.equal("after the update", (record["Greeting__c"], record["Score__c"]), ("Hello", None))
    check.equal("by key", org.Account.get_by_custom_id("External_Key__c", "MMM")["Name"], "3M")
    check.equal("upsert that updates", org.Account.upsert("External_Key__c/MMM", {"Greeting__c": "Hi"}), 200)
    check.equal("upsert that makes", org.Account.upsert("External_Key__c/NEW", {"Name": "New"}), 201)
    error = check.raises(
        "a key of two records", SalesforceMoreThanOneRecord, lambda: org.Account.upsert("CIK__c/1652044", {"Site": "x"})
    )
    if error:
        check.equal("records with one key", len(error.content), 2)
    error = check.raises(
        "a long text", SalesforceMalformedRequest, lambda: org.Account.update(made["id"], {"TickerSymbol": "x" * 21})
    )
    if error:
        check.equal("code of a long text", error.content[0]["errorCode"], "STRING_TOO_LONG")
    check.equal("delete", org.Account.delete(made["id"]), 204)
    check.raises("a deleted record", SalesforceResourceNotFound, lambda: org.Account.get(made["id"]))


def batches(check, org):
    """Collections and composite, which the client leaves to its raw call."""
    ids = [record["Id"] for record in org.query("SELECT Id FROM Account LIMIT 3")["records"]]
    rows = [{"attributes": {"type": "Account"}, "id": one, "Site": "HQ"} for one in ids]
    rows[1]["Segment__c"] = "Huge"
    answers = org.restful("composite/sobjects", method="PATCH", json={"allOrNone": False, "records": rows})
    check.equal("outcomes in order", [answer["success"] for answer in answers], [True, False, True])
    check.equal("code", answers[1]["errors"][0]["statusCode"], "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    asked = {"ids": ids + ["001ak0000000001AAA"], "fields": ["Site"]}
    read = org.restful("composite/sobjects/Account", method="POST", json=asked)
    check.equal("read back", [each and each["Site"] for each in read], ["HQ", None, "HQ", None])
    nothing = {"records": []}
    error = check.raises(
        "no records",
        SalesforceMalformedRequest,
        lambda: org.restful("composite/sobjects", method="PATCH", json=nothing),
    )
    if error:
        check.equal("code of no records", error.content[0]["errorCode"], "REQUIRED_FIELD_MISSING")
    url = f"/services/data/v{VERSION}/query?q=SELECT+COUNT()+FROM+User"
    request = {"compositeRequest": [{"method": "GET", "url": url, "referenceId": "users"}]}
    answer = org.restful("composite", method="POST", json=request)["compositeResponse"][0]
    told = (answer["httpStatusCode"], answer["body"]["totalSize"], answer["referenceId"])
    check.equal("composite", told, (200, 3, "users"))


def bulk(check, org):
    """Bulk API 2.0: update, insert, upsert and query, with their results."""
    ids = [record["Id"] for record in org.query("SELECT Id FROM Account ORDER BY Id LIMIT 300")["records"]]
    rows = [{"Id": one, "Greeting__c": f'Hello, "{at}"'} for at, one in enumerate(ids)]
    rows[7]["Id"] = "001ak0000000001AAA"
    done = org.bulk2.Account.update(records=rows, wait=0.01)[0]
    counts = (done["numberRecordsProcessed"], done["numberRecordsFailed"], done["numberRecordsTotal"])
    check.equal("updated", counts, (300, 1, 300))
    told = org.bulk2.Account.get_all_ingest_records(done["job_id"])
    succeeded, failed = told["successfulRecords"], told["failedRecords"]
    check.equal("told", (len(succeeded), len(failed), len(told["unprocessedRecords"])), (299, 1, 0))
    sent = [row["Id"] for row in rows if row is not rows[7]]
    check.true("shuffled", [row["sf__Id"] for row in succeeded] != sent)
    check.true("reason", failed[0]["sf__Error"].startswith("INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:"))
    check.equal("quotes survive", org.Account.get(ids[0])["Greeting__c"], 'Hello, "0"')

    made = org.bulk2.Contact.insert(records=[{"LastName": "Bulk", "External_Key__c": "B-1"}], wait=0.01)[0]
    check.equal("inserted", (made["numberRecordsProcessed"], made["numberRecordsFailed"]), (1, 0))
    again = org.bulk2.Contact.upsert(
        records=[{"External_Key__c": "B-1", "Title": "Boss"}], external_id_field="External_Key__c", wait=0.01
    )[0]
    check.equal("upserted", again["numberRecordsFailed"], 0)
    check.equal("title", org.Contact.get_by_custom_id("External_Key__c", "B-1")["Title"], "Boss")
    pages = list(org.bulk2.Account.query("SELECT Id, Name FROM Account", max_records=200, wait=0.01))
    n_rows = [len(list(csv.DictReader(io.StringIO(page)))) for page in pages]
    n_accounts = org.query("SELECT COUNT() FROM Account")["totalSize"]
    check.equal("query pages", (n_rows[:2], sum(n_rows)), ([200, 200], n_accounts))


def ledger(check, base_url):
    """The simulator's own account of what this client wrote."""
    with urllib.request.urlopen(f"{base_url}/_admin/report") as answer:
        report = json.load(answer)
    check.true("records written", report["records_written"] > 300)
    check.equal("unknown paths", report["unknown_paths"], 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-url", default=os.environ.get("INFILL_SIM_URL", "http://127.0.0.1:8091"))
    args = parser.parse_args()
    base_url = args.base_url.rstrip("/")
    check = Check()
    org = connect(base_url)
    parts = {
        "logins": lambda: logins(check, base_url),
        "queries": lambda: queries(check, org),
        "describe": lambda: describing(check, org),
        "records": lambda: records(check, org),
        "batches": lambda: batches(check, org),
        "bulk": lambda: bulk(check, org),
        "ledger": lambda: ledger(check, base_url),
    }
    for name, part in parts.items():
        try:
            part()
        except Exception as error:  # One part that breaks must not hide the others.
            check.true(f"{name} broke: {type(error).__name__}: {error}", False)
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
