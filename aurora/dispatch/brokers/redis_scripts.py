"""What the server does in one step: Lua, portable to Redis 6.2 and Valkey. Each touches the keys of one stream only."""

from __future__ import annotations

ADD_ONCE = """
-- KEYS: stream, contents that are known. ARGV: id, data, contents known at most, milliseconds known.
-- Of many that publish the same content at once, one adds it. The entry comes before the mark: if the server has
-- no memory left for the second write, a message may come twice, but none is lost.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('ZSCORE', KEYS[2], ARGV[1])
if known and tonumber(known) > now - ARGV[4] then return 0 end
redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'data', ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[3] - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
"""

WAKE = """
-- KEYS: stream. ARGV: lane, entries at most, then id and data of each.
for i = 3, #ARGV, 2 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'lane', ARGV[1], 'id', ARGV[i], 'data', ARGV[i + 1])
end
"""

CLAIM = """
-- KEYS: stream. ARGV: group, consumer, milliseconds, entries at most.
-- What XAUTOCLAIM does, but on Redis 6.2 that names no pending entry that was deleted, which would stay for ever.
local found = {}
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4])) do
  local entry = redis.call('XRANGE', KEYS[1], pending[1], pending[1])[1]
  if entry then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, pending[1])
    found[#found + 1] = entry
  else
    redis.call('XACK', KEYS[1], ARGV[1], pending[1])
  end
end
return found
"""

TRIM = """
-- KEYS: stream. ARGV: milliseconds after which a group is given up that is silent while entries wait; entries at most;
-- milliseconds after which an entry goes whoever needs it, 0: never; milliseconds after which a consumer is forgotten.
-- Returns name and unconfirmed entries of every group that was given up.
local key, most = KEYS[1], tonumber(ARGV[2])
if redis.call('EXISTS', key) == 0 then return {} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function mapped(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(seq), ms
end
local function is_before(one, other)
  local ms, seq = parts(one)
  local other_ms, other_seq = parts(other)
  return ms < other_ms or (ms == other_ms and seq < other_seq)
end
local function after(id)
  local _, seq, ms = parts(id)
  if seq >= 2 ^ 53 then return id end
  return ms .. '-' .. string.format('%.0f', seq + 1)
end
local function drop_older_than(ms)
  redis.call('XTRIM', key, 'MINID', '=', string.format('%.0f', math.max(0, now - ms)))
end

if tonumber(ARGV[3]) > 0 then
  drop_older_than(ARGV[3])
  redis.call('XTRIM', key, 'MAXLEN', '=', most)
end

local live, dropped = {}, {}
local function drop(group)
  redis.call('XGROUP', 'DESTROY', key, group.name)
  dropped[#dropped + 1] = {group.name, group.pending}
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  local group, idle, freshest = mapped(flat), nil, nil
  local consumers = redis.call('XINFO', 'CONSUMERS', key, group.name)
  for i, each in ipairs(consumers) do
    consumers[i] = mapped(each)
    if not idle or consumers[i].idle < idle then idle, freshest = consumers[i].idle, i end
  end
  for i, each in ipairs(consumers) do  -- the freshest stays: it tells when the group was last heard of
    if i ~= freshest and each.pending == 0 and each.idle > tonumber(ARGV[4]) then
      redis.call('XGROUP', 'DELCONSUMER', key, group.name, each.name)
    end
  end
  group.needs = redis.call('XPENDING', key, group.name)[2] or after(group['last-delivered-id'])
  -- On Redis 6.2 a consumer that finds nothing leaves no trace: silent is only who lets an entry wait as well.
  local oldest = redis.call('XRANGE', key, group.needs, '+', 'COUNT', 1)[1]
  local waits = oldest and now - parts(oldest[1]) or 0
  if math.min(waits, idle or waits) > tonumber(ARGV[1]) then drop(group) else live[#live + 1] = group end
end

table.sort(live, function(one, other) return is_before(one.needs, other.needs) end)
for _, group in ipairs(live) do  -- the one that is furthest behind first
  redis.call('XTRIM', key, 'MINID', '=', group.needs)
  if redis.call('XLEN', key) <= most then return dropped end
  drop(group)
end
drop_older_than(ARGV[1])
redis.call('XTRIM', key, 'MAXLEN', '=', most)
return dropped
"""
