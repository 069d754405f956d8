"""Tenants as values."""

from __future__ import annotations

import uuid

import pytest

from jammi_sql.errors import InvalidParameter
from jammi_sql.tenancy import TenantBinding, TenantId

TEXT = "01906c83-d4c8-7e10-9c4f-3b6f7c5a8e9a"


@pytest.mark.parametrize(
    "value", [TEXT, TEXT.upper(), TEXT.replace("-", ""), "{" + TEXT + "}", uuid.UUID(TEXT), TenantId(TEXT)], ids=repr
)
def test_every_spelling_of_a_uuid_is_the_same_tenant(value: str | uuid.UUID | TenantId) -> None:
    tenant = TenantId(value)
    assert str(tenant) == TEXT
    assert tenant == TenantId(TEXT)
    assert len({tenant, TenantId(TEXT)}) == 1


@pytest.mark.parametrize("value", ["", " ", "nobody", TEXT[:-1], TEXT + "0", 7, b"x", "'; DROP TOPIC x; --", None])
def test_what_is_no_uuid_is_refused_without_being_repeated(value: object) -> None:
    with pytest.raises(InvalidParameter) as caught:
        TenantId(value)
    assert caught.value.sqlstate == "22023"
    assert caught.value.hint
    assert str(value) not in caught.value.message or not str(value).strip()


@pytest.mark.parametrize("value", [uuid.UUID(int=0), str(uuid.UUID(int=0))])
def test_the_nil_uuid_is_no_tenant(value: str | uuid.UUID) -> None:
    with pytest.raises(InvalidParameter, match="nil"):
        TenantId(value)


def test_optional_keeps_none_and_checks_the_rest() -> None:
    assert TenantId.optional(None) is None
    assert TenantId.optional(TEXT) == TenantId(TEXT)
    with pytest.raises(InvalidParameter):
        TenantId.optional("")


def test_a_tenant_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        TenantId(TEXT).value = uuid.uuid4()


def test_a_binding_speaks_for_whom_it_was_bound_to_last_and_keeps_that_on_an_error() -> None:
    binding = TenantBinding()
    assert binding.tenant is None
    binding.bind(TEXT)
    with pytest.raises(InvalidParameter):
        binding.bind("nobody")
    assert binding.tenant == TenantId(TEXT)
    binding.bind(None)
    assert binding.tenant is None
