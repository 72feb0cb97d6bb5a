"""What is done to answers in Redis: two scripts, all of whose keys are in one slot of a cluster.

A space is cut into shards, and the names of all that a shard holds begin alike:

    <shard>:entry:<key>   the era, then the packed entry; expires by itself
    <shard>:tags          sorted set of "<digest of a tag> <key>", by which tags are found, and of
                          "~<id>", the era of the shard
    <shard>:ends          sorted set of the keys, by when they are over
    <shard>:about         hash: "=<key>" is the size and the tags of an entry; "bytes" is all sizes

An entry counts only in the era in which it was put. When Redis is full it may push out `tags`, and
no invalidation would find the entries any more: with it goes the era, and so they are misses. The
lists expire a minute after the last entry they name. An operation goes through `most` entries at
once and answers how many they were, whether there are more, and bytes.
"""

from __future__ import annotations

from typing import Final

__all__ = ["GET", "SCRIPT"]

GET: Final = """
local era = redis.call('zrangebylex', KEYS[1], '[~', '+', 'limit', 0, 1)[1]
local kept = era and redis.call('get', KEYS[2])
return kept and string.sub(kept, 1, #era) == era and string.sub(kept, #era + 1)
"""

SCRIPT: Final = """
local shard, operation, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local tags, ends, about = shard .. ':tags', shard .. ':ends', shard .. ':about'

local function drop(key)
  local known = redis.call('hget', about, '=' .. key)
  redis.call('zrem', ends, key)
  if known then
    redis.call('hdel', about, '=' .. key)
    for name in string.gmatch(known, ' (%x+)') do redis.call('zrem', tags, name .. ' ' .. key) end
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
function operations.put(now, key, keeps, lasts, size, packed, new, ...)
  redis.call('hincrby', about, 'bytes', 0)
  sweep(now)
  drop(key)
  redis.call('zadd', ends, keeps, key)
  redis.call('hset', about, '=' .. key, table.concat({size, ...}, ' '))
  redis.call('hincrby', about, 'bytes', size)
  local last = tonumber(redis.call('zrange', ends, -1, -1, 'withscores')[2])
  local listed = math.min(math.max(last - tonumber(now), 0), 3e9) * 1000 + 60000
  listed = string.format('%.0f', math.ceil(listed))
  local era = redis.call('zrangebylex', tags, '[~', '+', 'limit', 0, 1)[1] or '~' .. new
  redis.call('zadd', tags, 0, era)
  for _, name in ipairs({...}) do redis.call('zadd', tags, 0, name .. ' ' .. key) end
  for _, list in ipairs({tags, ends, about}) do redis.call('pexpire', list, listed) end
  redis.call('set', shard .. ':entry:' .. key, era .. packed, 'px', lasts)
  return {0, 0, 0}
end

function operations.delete(key)
  return {drop(key), 0, 0}
end

function operations.invalidate(from, to)
  local names, gone = redis.call('zrangebylex', tags, from, to, 'limit', 0, most), 0
  for _, name in ipairs(names) do
    gone = gone + drop(string.sub(name, string.find(name, ' ', 1, true) + 1))
    redis.call('zrem', tags, name)  -- in case that `about` did not know
  end
  return {gone, redis.call('zlexcount', tags, from, to), 0}
end

function operations.clear()
  redis.call('del', tags)
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
