"""Every CRM keeps its promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obverse.adapters.memory.crm import MemoryAccount, MemoryCrmSettings, open_crm
from obverse.adapters.runtime.system import open_runtime
from obverse.contracts.crm import CrmContract, Trouble
from obverse.core.records import Callback
from obverse.ports.crm import Crm
from obverse.ports.outcomes import Unreachable

NOW = 1_767_225_600_000_000


class TestMemory(CrmContract):
    async def open_crm(self) -> Crm:
        self.account = MemoryAccount()
        return await open_crm(MemoryCrmSettings(account=self.account), open_runtime())

    async def open_troubled(self, trouble: Trouble) -> Crm:
        account = MemoryAccount(trouble=None if trouble == "wrong_key" else Unreachable(trouble, after=2))
        key = "another" if trouble == "wrong_key" else account.key
        return await open_crm(MemoryCrmSettings(key=key, account=account), open_runtime())

    async def read_back(self, email: str) -> Mapping[str, str] | None:
        found = self.account.find(email)
        return None if found is None else self.account.contacts[found]

    async def edit(self, record_id: str, fields: Mapping[str, str]) -> Sequence[Callback]:
        return [self.account.edit(record_id, fields, NOW)]

    def signed(self, body: bytes) -> Callback:
        return self.account.call(body, NOW)
