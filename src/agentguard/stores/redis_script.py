"""All operations of a Redis ledger: one script and one round trip, for accounts of one budget and key.

An account is one hash, which expires as a whole. Those of one budget and key are in the same slot of a
cluster, so that one script reaches them all.

    of                    what is counted, for people
    used, reserved, extra the sums of the parts that count
    since                 the oldest part that counts
    used:<part> extra:<part>
    lease:<id>            part, amount, state, time of expiry; an expired one stays, so that its
                          call can still be settled: its state is what happens when it expires
                          ("charge", "refund"), then what has happened
    soonest               no lease expires before
    told:<percent>        until which part this threshold has been reported
    keeps                 when all of it can go
"""

from __future__ import annotations

from typing import Final

__all__ = ["SCRIPT"]

SCRIPT: Final = """
local operation, grace, now, expires, lost = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local COMMON, EACH = 5, 8  -- arguments of the operation, and of each account

local function whole(n) return string.format('%.0f', n) end
local function exact(n) return string.format('%.17g', n) end
local function alive(state) return state == 'charge' or state == 'refund' end

local function read(text)
  local part, amount, state, expires = string.match(text, '(%S+) (%S+) (%S+) (%S+)')
  return tonumber(part), tonumber(amount), state, tonumber(expires)
end

local function book(a, sum, part, n)
  if n ~= 0 and part >= a.since then
    a[sum] = a[sum] + n
    redis.call('hincrby', a.key, sum .. ':' .. whole(part), whole(n))
  end
end

local function write(a, name, part, amount, state, expires)
  redis.call('hset', a.key, name, whole(part) .. ' ' .. whole(amount) .. ' ' .. state .. ' ' .. exact(expires))
  a.changed = true
end

local function expect(a, expires)
  a.soonest = math.min(a.soonest, expires)
  a.keeps = math.max(a.keeps, expires)
end

-- Parts before `since` have left the window.
local function advance(a, since, ends)
  for left = a.since, math.min(since - 1, a.since + a.width) do
    for _, sum in ipairs({'used', 'extra'}) do
      local field = sum .. ':' .. whole(left)
      a[sum] = a[sum] - tonumber(redis.call('hget', a.key, field) or 0)
      redis.call('hdel', a.key, field)
    end
  end
  a.since, a.keeps, a.changed = since, math.max(a.keeps, ends), true
end

-- Charge or refund what dead holders left. What is reserved is added up anew: a server that was
-- killed while it wrote its file may come back with half of an operation that nobody was told of.
local function sweep(a)
  a.reserved, a.soonest, a.changed = 0, 1e300, true
  local fields = redis.call('hgetall', a.key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'lease:' then
      local part, amount, state, expires = read(fields[i + 1])
      if not alive(state) then
        if part < a.since then redis.call('hdel', a.key, fields[i]) end
      elseif expires > now then
        a.reserved = a.reserved + amount
        a.soonest = math.min(a.soonest, expires)
      else
        if state == 'charge' then book(a, 'used', part, amount) end
        write(a, fields[i], part, amount, state == 'charge' and 'charged' or 'refunded', expires)
      end
    end
  end
end

-- The i-th account as it is now, with what is asked of it.
local function open(i)
  local at = COMMON + EACH * (i - 1)
  local part, since, ends = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local found = redis.call('hmget', KEYS[i], 'used', 'reserved', 'extra', 'since', 'keeps', 'soonest')
  local a = {
    key = KEYS[i], title = ARGV[at + 1], part = part, width = part - since, changed = false,
    used = tonumber(found[1] or 0), reserved = tonumber(found[2] or 0), extra = tonumber(found[3] or 0),
    since = tonumber(found[4] or since), keeps = tonumber(found[5] or ends), soonest = tonumber(found[6] or 1e300),
    name = 'lease:' .. ARGV[at + 5], amount = tonumber(ARGV[at + 6]), limit = tonumber(ARGV[at + 7]),
    percents = ARGV[at + 8],
  }
  if since > a.since then advance(a, since, ends) end
  if now >= a.soonest then sweep(a) end
  return a
end

local function save(a)
  if not a.changed then return end
  redis.call('hset', a.key, 'of', a.title, 'used', whole(a.used), 'reserved', whole(a.reserved),
    'extra', whole(a.extra), 'since', whole(a.since), 'keeps', exact(a.keeps), 'soonest', exact(a.soonest))
  redis.call('pexpire', a.key, whole(math.ceil((math.max(a.keeps - now, 0) + grace) * 1000)))
end

local function reserve()
  local accounts, fits, replies = {}, true, {}
  for i = 1, #KEYS do
    local a = open(i)
    a.held = redis.call('hexists', a.key, a.name) == 1
    a.fits = a.held or a.amount <= a.limit + a.extra - a.used - a.reserved  -- a sum might be inexact
    accounts[i], fits = a, fits and a.fits
  end
  for i, a in ipairs(accounts) do
    if fits and not a.held then
      a.reserved = a.reserved + a.amount
      write(a, a.name, math.max(a.part, a.since), a.amount, lost, expires)
      expect(a, expires)
    end
    save(a)
    replies[i] = {a.fits and 1 or 0, a.used, a.reserved, a.limit + a.extra}
  end
  return replies
end

local operations = {}

function operations.settle(a)
  local most, text = a.limit + a.extra, redis.call('hget', a.key, a.name)
  if not text then return {a.used, most, 0} end
  redis.call('hdel', a.key, a.name)
  a.changed = true
  local part, amount, state = read(text)
  if alive(state) then a.reserved = a.reserved - amount end
  book(a, 'used', part, state == 'charged' and a.amount - amount or a.amount)
  local reply = {a.used, most, math.max(a.amount - amount, 0)}
  for percent in string.gmatch(a.percents, '%d+') do
    local told = 'told:' .. percent
    if a.used > 0 and a.used * 100 >= tonumber(percent) * most
        and tonumber(redis.call('hget', a.key, told) or a.since - 1) < a.since then
      redis.call('hset', a.key, told, whole(a.since + a.width))
      reply[#reply + 1] = tonumber(percent)
    end
  end
  return reply
end

function operations.renew(a)
  local text = redis.call('hget', a.key, a.name)
  if not text then return {0} end
  local part, amount, state = read(text)
  if not alive(state) then return {0} end
  write(a, a.name, part, amount, state, expires)
  expect(a, expires)
  return {1}
end

function operations.status(a)
  return {a.used, a.reserved, a.extra}
end

function operations.reset(a)
  a.used, a.extra, a.changed = 0, 0, true
  local fields = redis.call('hgetall', a.key)
  for i = 1, #fields, 2 do
    local kind = string.match(fields[i], '^(%a+):')
    if kind == 'lease' then
      local _, _, state = read(fields[i + 1])
      if not alive(state) then redis.call('hdel', a.key, fields[i]) end
    elseif kind then
      redis.call('hdel', a.key, fields[i])
    end
  end
  return {}
end

function operations.grant(a)
  book(a, 'extra', math.max(a.part, a.since), a.amount)
  a.changed = true
  return {}
end

if operation == 'reserve' then return reserve() end
local replies = {}
for i = 1, #KEYS do  -- one after the other: two may be the same account
  local a = open(i)
  replies[i] = operations[operation](a)
  save(a)
end
return replies
"""
