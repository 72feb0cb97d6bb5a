"""All operations of a Redis ledger: one script, one key, one round trip.

An account is one hash, so that a cluster keeps it in one slot, and expires as a whole:

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
local key, operation, title, grace = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local now, part, since, ends = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local name = 'lease:' .. ARGV[8]
local width = part - since

local function whole(n) return string.format('%.0f', n) end
local function exact(n) return string.format('%.17g', n) end

local found = redis.call('hmget', key, 'used', 'reserved', 'extra', 'since', 'keeps', 'soonest')
local sums = {
  used = tonumber(found[1] or 0), reserved = tonumber(found[2] or 0), extra = tonumber(found[3] or 0),
  since = tonumber(found[4] or since), keeps = tonumber(found[5] or ends), soonest = tonumber(found[6] or 1e300),
}
local changed = false

local function book(sum, part, n)
  if n ~= 0 and part >= sums.since then
    sums[sum] = sums[sum] + n
    redis.call('hincrby', key, sum .. ':' .. whole(part), whole(n))
  end
end

local function write(name, part, amount, state, expires)
  redis.call('hset', key, name, whole(part) .. ' ' .. whole(amount) .. ' ' .. state .. ' ' .. exact(expires))
  changed = true
end

local function read(text)
  local part, amount, state, expires = string.match(text, '(%S+) (%S+) (%S+) (%S+)')
  return tonumber(part), tonumber(amount), state, tonumber(expires)
end

local function expect(expires)
  sums.soonest = math.min(sums.soonest, expires)
  sums.keeps = math.max(sums.keeps, expires)
end

local function alive(state) return state == 'charge' or state == 'refund' end

-- Parts before `since` have left the window.
if since > sums.since then
  for left = sums.since, math.min(since - 1, sums.since + width) do
    for _, sum in ipairs({'used', 'extra'}) do
      local field = sum .. ':' .. whole(left)
      sums[sum] = sums[sum] - tonumber(redis.call('hget', key, field) or 0)
      redis.call('hdel', key, field)
    end
  end
  sums.since, sums.keeps, changed = since, math.max(sums.keeps, ends), true
end

-- Charge or refund what dead holders left. What is reserved is added up anew: a server that was
-- killed while it wrote its file may come back with half of an operation that nobody was told of.
if now >= sums.soonest then
  sums.reserved, sums.soonest, changed = 0, 1e300, true
  local fields = redis.call('hgetall', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'lease:' then
      local part, amount, state, expires = read(fields[i + 1])
      if not alive(state) then
        if part < sums.since then redis.call('hdel', key, fields[i]) end
      elseif expires > now then
        sums.reserved = sums.reserved + amount
        sums.soonest = math.min(sums.soonest, expires)
      else
        if state == 'charge' then book('used', part, amount) end
        write(fields[i], part, amount, state == 'charge' and 'charged' or 'refunded', expires)
      end
    end
  end
end

local operations = {}

function operations.reserve()
  local amount, limit, expires, lost = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]
  local most = limit + sums.extra
  local granted = redis.call('hexists', key, name)
  if granted == 0 and amount <= most - sums.used - sums.reserved then  -- a sum might be inexact
    granted = 1
    sums.reserved = sums.reserved + amount
    write(name, math.max(part, sums.since), amount, lost, expires)
    expect(expires)
  end
  return {granted, sums.used, sums.reserved, most}
end

function operations.settle()
  local actual, most = tonumber(ARGV[9]), tonumber(ARGV[10]) + sums.extra
  local text = redis.call('hget', key, name)
  if not text then return {sums.used, most, 0} end
  redis.call('hdel', key, name)
  changed = true
  local part, amount, state = read(text)
  if alive(state) then sums.reserved = sums.reserved - amount end
  book('used', part, state == 'charged' and actual - amount or actual)
  local reply = {sums.used, most, math.max(actual - amount, 0)}
  for i = 11, #ARGV do
    local percent, told = tonumber(ARGV[i]), 'told:' .. ARGV[i]
    if sums.used > 0 and sums.used * 100 >= percent * most
        and tonumber(redis.call('hget', key, told) or sums.since - 1) < sums.since then
      redis.call('hset', key, told, whole(sums.since + width))
      reply[#reply + 1] = percent
    end
  end
  return reply
end

function operations.renew()
  local text = redis.call('hget', key, name)
  if not text then return {0} end
  local part, amount, state = read(text)
  if not alive(state) then return {0} end
  write(name, part, amount, state, tonumber(ARGV[9]))
  expect(tonumber(ARGV[9]))
  return {1}
end

function operations.status()
  return {sums.used, sums.reserved, sums.extra}
end

function operations.reset()
  sums.used, sums.extra, changed = 0, 0, true
  local fields = redis.call('hgetall', key)
  for i = 1, #fields, 2 do
    local kind = string.match(fields[i], '^(%a+):')
    if kind == 'lease' then
      local _, _, state = read(fields[i + 1])
      if not alive(state) then redis.call('hdel', key, fields[i]) end
    elseif kind then
      redis.call('hdel', key, fields[i])
    end
  end
  return {}
end

function operations.grant()
  book('extra', math.max(part, sums.since), tonumber(ARGV[9]))
  changed = true
  return {}
end

local reply = operations[operation]()
if changed then
  redis.call('hset', key, 'of', title, 'used', whole(sums.used), 'reserved', whole(sums.reserved),
    'extra', whole(sums.extra), 'since', whole(sums.since), 'keeps', exact(sums.keeps),
    'soonest', exact(sums.soonest))
  redis.call('pexpire', key, whole(math.ceil((math.max(sums.keeps - now, 0) + grace) * 1000)))
end
return reply
"""
