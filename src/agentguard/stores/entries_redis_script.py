"""What changes answers in Redis: one script, all of whose keys are in one slot of a cluster.

A space is cut into shards, and the names of all that a shard holds begin alike:

    <shard>:entry:<key>   the packed entry, which expires by itself
    <shard>:ends          sorted set of the keys, by when they are over
    <shard>:about         hash: "=<key>" is the size and the tags of an entry; "bytes" is all sizes
    <shard>:tag:<digest>  set of the keys that have the tag

The lists are exact unless Redis pushes something out by itself. They expire a minute after the last
entry they name. An operation goes through `most` entries at once and answers how many they were,
whether there are more, and bytes.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SCRIPT"]

SCRIPT: Final = """
local shard, operation, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local ends, about = shard .. ':ends', shard .. ':about'

local function tag(name) return shard .. ':tag:' .. name end

local function drop(key)
  local known = redis.call('hget', about, '=' .. key)
  redis.call('zrem', ends, key)
  if known then
    redis.call('hdel', about, '=' .. key)
    for name in string.gmatch(known, ' (%x+)') do redis.call('srem', tag(name), key) end
    redis.call('hincrby', about, 'bytes', string.format('%.0f', 0 - string.match(known, '^%d+')))
  end
  return redis.call('del', shard .. ':entry:' .. key)
end

local function drop_all(keys)
  local gone = 0
  for _, key in ipairs(keys) do gone = gone + drop(key) end
  return gone
end

local function sweep(now)
  drop_all(redis.call('zrangebyscore', ends, '-inf', now, 'limit', 0, most))
end

local operations = {}

-- A full server refuses a script's first write alone, so that comes first. The entry comes last:
-- it is never there without its tags.
function operations.put(now, key, keeps, lasts, size, packed, ...)
  redis.call('hincrby', about, 'bytes', 0)
  sweep(now)
  drop(key)
  redis.call('zadd', ends, keeps, key)
  redis.call('hset', about, '=' .. key, table.concat({size, ...}, ' '))
  redis.call('hincrby', about, 'bytes', size)
  local last = tonumber(redis.call('zrange', ends, -1, -1, 'withscores')[2])
  local listed = math.min(math.max(last - tonumber(now), 0), 3e9) * 1000 + 60000
  listed = string.format('%.0f', math.ceil(listed))
  redis.call('pexpire', ends, listed)
  redis.call('pexpire', about, listed)
  for _, name in ipairs({...}) do
    redis.call('sadd', tag(name), key)
    redis.call('pexpire', tag(name), listed)
  end
  redis.call('set', shard .. ':entry:' .. key, packed, 'px', lasts)
  return {0, 0, 0}
end

function operations.delete(key)
  return {drop(key), 0, 0}
end

function operations.invalidate(name)
  local keys = redis.call('srandmember', tag(name), most)
  local gone = drop_all(keys)
  if #keys > 0 then redis.call('srem', tag(name), unpack(keys)) end  -- what `about` did not know
  return {gone, redis.call('scard', tag(name)), 0}
end

function operations.clear()
  local gone = drop_all(redis.call('zrange', ends, 0, most - 1))
  return {gone, redis.call('zcard', ends), 0}
end

function operations.size(now)
  sweep(now)
  local more = redis.call('zcount', ends, '-inf', now)
  if more > 0 then return {0, more, 0} end
  return {redis.call('zcard', ends), 0, tonumber(redis.call('hget', about, 'bytes') or 0)}
end

return operations[operation](unpack(ARGV, 3))
"""
