"""The description of the native API is valid, is what is served, and is true."""

import json
import unicodedata

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi.checks import positive_data_acceptance

from adyton.errors import AdytonError
from adyton.lifecyclevalues import check_reason
from adyton.model import attribute_map, secret_name, tag_list, user_id
from adyton.server.native.table import TABLE, document
from servers import TOKEN, Server

DOCUMENT = json.loads(document())


def fits(check):
    def test(text):
        try:
            check(text)
        except AdytonError:
            return False
        return True

    return test


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), min_size=1)
NFC = TEXT.map(lambda text: unicodedata.normalize("NFC", text)[:40])
NAMES = st.lists(NFC, min_size=1, max_size=3).map("/".join)

schemathesis.openapi.format("secret-name", NAMES.filter(fits(secret_name)))
schemathesis.openapi.format("name-prefix", NAMES.filter(fits(secret_name)))
schemathesis.openapi.format("user-id", NFC.filter(fits(user_id)))
schemathesis.openapi.format("tag", NFC.filter(fits(lambda text: tag_list([text]))))
schemathesis.openapi.format("line", NFC.filter(fits(check_reason)))
schemathesis.openapi.format(
    "attribute-key", NFC.filter(fits(lambda text: attribute_map({text: ""})))
)


def test_the_description_is_valid():
    """OpenAPI 3.1, by its own schema; an operation for each route, and no name twice."""
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)
    named = [
        operation["operationId"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
    ]
    assert sorted(named) == sorted({route.operation for route in TABLE.routes})


@pytest.fixture(scope="module")
def own_server():
    """A server whose keys are rotated and whose users are purged by whatever comes to mind."""
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err


def test_what_is_served_is_what_is_described(own_server):
    """Also without a token."""
    status, headers, found = own_server.raw("GET", "/v1/adyton/openapi.json")
    assert (status, headers["content-type"], found) == (200, "application/json", DOCUMENT)


FORMATS = ["line", "secret-name", "name-prefix", "user-id", "tag", "attribute-key"]


def without_formats(found):
    """The same without formats of ours, whose opposite nobody can make up."""
    if isinstance(found, list):
        return [without_formats(item) for item in found]
    if isinstance(found, dict):
        return {
            key: without_formats(item)
            for key, item in found.items()
            if key != "format" or item not in FORMATS
        }
    return found


def loaded(document, mode):
    config = {
        "generation": {"mode": mode},
        # What a request is not told by its shape: the state of things.
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409, 412, 422]},
            "negative_data_rejection": {"expected-statuses": ["4xx"]},
        },
    }
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(config))


@pytest.fixture(scope="module")
def fitting():
    """Requests that fit the description."""
    return loaded(DOCUMENT, "positive")


@pytest.fixture(scope="module")
def misfit():
    """Requests that do not.

    A wrong token among what is sent would not be sent: a right one takes its place.
    """
    return loaded(without_formats(DOCUMENT) | {"security": []}, "negative")


# What these ask for can't be told by a schema: documents that parse, age recipients, names that
# differ, records that are there, roots and their keys, cron expressions, reports that there are,
# addresses, one part of several.
BEYOND_SCHEMAS = {
    "add_member",
    "add_webhook",
    "mute_alerts",
    "set_user_root",
    "give_user_root",
    "take_user_root",
    "change_user_root",
    "wrap_user_root",
    "remove_user_root",
    "create_grant",
    "create_share",
    "pass_share_on",
    "explain_access",
    "list_grants",
    "make_report",
    "make_store_report",
    "request_access",
    "who_can_read",
    "set_rotation",
    "set_dynamic_connection",
    "set_dynamic_role",
    "add_root",
    "migrate_root",
    "remove_root",
    "test_roots",
    "export_secrets",
    "import_secrets",
    "prove_record",
    "prove_store_record",
    "rotate_keys",
    "set_secrets",
    "verify_log",
}


def mend(case):
    """What is valid by the description, and can't be true of what came to mind."""
    if case.query and case.query.get("cursor"):
        del case.query["cursor"]  # one that no listing gave
    match = (case.headers or {}).get("If-Match", "")
    if match.isdigit():
        case.headers["If-Match"] = f'"{match}"'  # its quotes were lost on the way
    case.body = whole(case.body)


def whole(value):
    """Whole numbers are taken as they are written, and not as 3.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value


def run(case, server):
    excluded = []
    if case.operation.definition.raw["operationId"] in BEYOND_SCHEMAS:
        excluded.append(positive_data_acceptance)
    if case.meta and case.meta.generation.mode.is_positive:
        mend(case)
    headers = {"X-Vault-Token": TOKEN}
    response = case.call(base_url=server.addr, headers=headers)
    if response.status_code == 503 and response.json()["type"] in AWAY:
        return  # some user came to have a root of their own, whose key nobody knows any more
    case.validate_response(response, headers=headers, excluded_checks=excluded)


AWAY = {"urn:adyton:error:user-root-away", "urn:adyton:error:root-locked"}
SETTINGS = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


def told_truly(kind, operation, examples):
    """A test of one operation: every check on what it answers."""

    @settings(max_examples=examples, **SETTINGS)
    def check(case, server):
        run(case, server)

    # As schemathesis' own decorator makes it, but when it runs: that makes all cases up to list
    # the tests, in each process, for half a minute and in two gigabytes.
    def test(own_server, request):
        schema = request.getfixturevalue(kind)
        build_operation_test(
            config=schema.config,
            operation=schema.find_operation_by_id(operation),
            test_func=check,
            given_kwargs={},
            feedback=FeedbackSources(),
        )(server=own_server)

    test.__doc__ = f"{operation} answers as it is described."
    return test


# A name for each: items of one name are one to whoever spreads tests over processes.
for route in TABLE.routes:
    kinds = ["fitting"]
    if route.body or route.path.count("{") or route.query.__struct_fields__:
        kinds.append("misfit")
    for kind in kinds:
        name = f"test_{kind}_{route.operation}"
        globals()[name] = told_truly(kind, route.operation, 4)
        globals()[f"{name}_at_length"] = pytest.mark.soak(told_truly(kind, route.operation, 400))
