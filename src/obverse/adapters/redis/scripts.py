"""
What runs inside Redis: each a Lua script, so that nobody sees half of it.

Every script is given the key of the *standing*: one line that says who writes, `number writer tag run until serial`.
Of two writers the one with the greater number is believed. What is written carries the tag, and counts only as long as
the standing names the same tag, the run of this very server (a server that was started anew may have come up with what
it held long ago), and an instant that has not come yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

_STANDING: Final = """
local function standing()
  local kept = redis.pcall('GET', KEYS[1])
  if type(kept) ~= 'string' then return nil end
  return string.match(kept, '^(%d+) (%x+) (%x+) (%x+) (%d+) (%d+)$')
end
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function in_pieces(first, last, call)
  for at = first, last, 4000 do
    call(at, math.min(at + 3999, last))
  end
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    """One script, and the name by which Redis knows it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


TAKE: Final = Script(
    _STANDING
    + """
-- run, number, writer, tag, whether to pass the present writer by, serial
local number, writer = standing()
local mine = tonumber(ARGV[2])
if number and (tonumber(number) > mine or (tonumber(number) == mine and writer ~= ARGV[3])) then
  if ARGV[5] == '0' then return {'0', milliseconds()} end
  mine = tonumber(number) + 1
end
local number = string.format('%.0f', mine)
redis.call('SET', KEYS[1], table.concat({number, ARGV[3], ARGV[4], ARGV[1], '0', ARGV[6]}, ' '))
return {number, milliseconds()}
"""
)
"""
Take the place of the writer; nothing can be read yet.

Returns the number that it came to, 0 if another one is ahead; and Redis' own time, in milliseconds.
"""

WRITE: Final = Script(
    _STANDING
    + """
-- run, number, writer, tag, serial, not after, lease, milliseconds until expiry, how many expire, how many go;
-- then these, and pairs
local now = milliseconds()
local number, writer, tag, run, until_, serial = standing()
if not number then return {'lost', now} end
if tonumber(number) > tonumber(ARGV[2]) or (number == ARGV[2] and writer ~= ARGV[3]) then return {'outdone', now} end
if number ~= ARGV[2] or tag ~= ARGV[4] or run ~= ARGV[1] then return {'lost', now} end
if tonumber(serial) >= tonumber(ARGV[5]) or now > tonumber(ARGV[6]) then return {'late', now} end
if ARGV[7] == '0' then until_ = '0'
elseif ARGV[7] ~= 'kept' then until_ = string.format('%.0f', now + ARGV[7]) end
redis.call('SET', KEYS[1], table.concat({number, writer, tag, run, until_, ARGV[5]}, ' '))
local gone = 11 + ARGV[9]
local pairs_ = gone + ARGV[10]
for at = 11, gone - 1 do redis.call('PEXPIRE', ARGV[at], ARGV[8]) end
in_pieces(gone, pairs_ - 1, function(first, last) redis.call('DEL', unpack(ARGV, first, last)) end)
in_pieces(pairs_, #ARGV, function(first, last) redis.call('MSET', unpack(ARGV, first, last)) end)
return {'done', now}
"""
)
"""
Write a batch, and be believed for the length of the lease from now on; of 0: no more, `kept`: as long as before.

Returns what became of it, and Redis' own time. What comes after its time, or after a later one, is passed over: it may
have lain in a socket for as long as Redis stood still, and nobody waits for it any more.
"""

READ: Final = Script(
    _STANDING
    + """
-- run, what keys begin with; then of each that is asked for `i:` and an identifier, or `p:` and an id
local _, _, tag, run, until_ = standing()
if not tag or run ~= ARGV[1] or tonumber(until_) < milliseconds() then return false end
local before, asked, found = ARGV[2], {}, {tag}
for at = 3, #ARGV do asked[at - 2] = before .. ARGV[at] end
local function get(keys)
  local got = {}
  in_pieces(1, #keys, function(first, last)
    local some = redis.call('MGET', unpack(keys, first, last))
    for at = 1, #some do got[first + at - 1] = some[at] end
  end)
  return got
end
local once, keys, places = get(asked), {}, {}
for at = 1, #asked do
  local one = once[at]
  if one and string.sub(one, 3, 14) == tag then
    local follow
    if string.sub(ARGV[at + 2], 1, 1) == 'i' then
      if #one == 34 then follow = before .. 'p:' .. string.sub(one, 19, 34) end
    elseif #one >= 20 then
      local length = string.byte(one, 19) * 256 + string.byte(one, 20)
      follow = before .. 'i:' .. string.sub(one, 21, 20 + length)
    end
    if follow then
      keys[#keys + 1] = follow
      places[#places + 1] = at
    end
  end
end
local twice, then_ = get(keys), {}
for at = 1, #keys do then_[places[at]] = twice[at] end
for at = 1, #asked do
  found[2 * at] = once[at] or false
  found[2 * at + 1] = then_[at] or false
end
return found
"""
)
"""
The tag, and of each that is asked for two values: where it leads to and the profile, or the profile and where the first
of its identifiers leads to. Nothing at all, if no writer is believed.
"""
