"""The steps of the Redis store as Lua scripts: what they check they check before they write, for a script is not undone.

Keys as in `redis`. ARGV: prefix, now, then what each script says.
"""

from __future__ import annotations

from snakepit._setting_checks import MAX_TTL

_HEAD = """
local prefix, now = ARGV[1], tonumber(ARGV[2])
local expiry = prefix .. 'expiry'
local function key(id) return prefix .. 's:' .. id end
local function programs(id) return prefix .. 'p:' .. id end
local function valid(ttl)
    local seconds = tonumber(ttl)
    return seconds and seconds > 0 and seconds <= MAX_TTL
end
local function kept(id)  -- others may have put anything in its place
    local ttl = redis.pcall('HGET', key(id), 'ttl')
    return redis.call('ZSCORE', expiry, id) and type(ttl) == 'string' and valid(ttl)
end
local function alive(id) return kept(id) and tonumber(redis.call('ZSCORE', expiry, id)) > now end
local function drop(id) redis.call('DEL', key(id), programs(id)); return redis.call('ZREM', expiry, id) end
local function touch(id)
    local ttl = tonumber(redis.call('HGET', key(id), 'ttl'))
    redis.call('HSET', key(id), 'last_used', ARGV[2])
    redis.call('ZADD', expiry, string.format('%.6f', now + ttl), id)
    local later = string.format('%.0f', (2 * ttl + 3600) * 1000)
    redis.call('PEXPIRE', key(id), later)
    redis.call('PEXPIRE', programs(id), later)
end
local function info(id)
    local row = redis.pcall('HMGET', key(id), 'created', 'last_used', 'ttl', 'metadata')
    if row.err then row = {false, false, false, false} end
    local used = redis.pcall('HLEN', programs(id))
    row[5], row[6] = type(used) == 'number' and used or -1, id
    return row
end
local function count() return redis.call('ZCOUNT', expiry, '(' .. ARGV[2], '+inf') end
""".replace("MAX_TTL", repr(MAX_TTL))
_OPEN = """
local id = ARGV[3]
if not valid(ARGV[4]) then return redis.error_reply('ERR ttl is ' .. ARGV[4]) end
if alive(id) then
    if ARGV[7] == '1' then redis.call('HSET', key(id), 'ttl', ARGV[4]) end
    touch(id)
    return {0, info(id)}
end
local used = count()
if used >= tonumber(ARGV[6]) then return {-1} end
drop(id)
redis.call('HSET', key(id), 'created', ARGV[2], 'ttl', ARGV[4], 'metadata', ARGV[5])
touch(id)
return {used + 1, info(id)}
"""
_GET = "if alive(ARGV[3]) then return info(ARGV[3]) end return false"
_TOUCH = """
local gone = {}
local here = ARGV[3] == '1' and kept or alive
for i = 4, #ARGV do if here(ARGV[i]) then touch(ARGV[i]) else gone[#gone + 1] = ARGV[i] end end
return gone
"""
_GONE = """
local gone = {}
for i = 3, #ARGV, 2 do
    local id = ARGV[i]
    if not alive(id) or redis.call('HGET', key(id), 'created') ~= ARGV[i + 1] then gone[#gone + 1] = id end
end
return gone
"""
_SWAP = """
local id = ARGV[3]
if not alive(id) then return {-1} end
local row = redis.call('HMGET', key(id), 'metadata', 'created')
if row[1] ~= ARGV[4] or row[2] ~= ARGV[5] then return {0} end
redis.call('HSET', key(id), 'metadata', ARGV[6])
touch(id)
return {1, info(id)}
"""
_DELETE = "local there = alive(ARGV[3]); drop(ARGV[3]); return {there and 1 or 0, count()}"
_EXPIRE = """
local ids = redis.call('ZRANGEBYSCORE', expiry, '-inf', ARGV[2], 'LIMIT', 0, 1000)
for _, id in ipairs(ids) do drop(id) end
return {ids, count()}
"""
_PUT = """
local id, program = ARGV[3], ARGV[4]
if not alive(id) then return -1 end
local used, known = redis.call('HLEN', programs(id)), redis.call('HEXISTS', programs(id), program)
if known == 0 and used >= tonumber(ARGV[6]) then return -2 end
redis.call('HSET', programs(id), program, ARGV[5])
touch(id)
return used + 1 - known
"""
_PROGRAM = """
local id = ARGV[3]
if not alive(id) then return {-1} end
local found = redis.call('HGET', programs(id), ARGV[4])
if found then return {1, found} end
return {0, redis.call('HKEYS', programs(id))}
"""
_FORGET = """
if not alive(ARGV[3]) then return {-1} end
return {redis.call('HDEL', programs(ARGV[3]), ARGV[4]), redis.call('HLEN', programs(ARGV[3]))}
"""
_PROGRAMS = "if alive(ARGV[3]) then return redis.call('HKEYS', programs(ARGV[3])) end return false"
_ALL = """
local rows = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '(' .. ARGV[2], '+inf')) do
    if redis.call('EXISTS', key(id)) == 1 then rows[#rows + 1] = info(id) end
end
return rows
"""

#: Those of one session, whose id comes first.
OF_ONE = {"open", "get", "swap", "delete", "put", "program", "forget", "programs"}
#: By the name that the store calls them by.
SCRIPTS = {
    "open": _HEAD + _OPEN,
    "get": _HEAD + _GET,
    "touch": _HEAD + _TOUCH,
    "gone": _HEAD + _GONE,
    "swap": _HEAD + _SWAP,
    "delete": _HEAD + _DELETE,
    "expire": _HEAD + _EXPIRE,
    "put": _HEAD + _PUT,
    "program": _HEAD + _PROGRAM,
    "forget": _HEAD + _FORGET,
    "programs": _HEAD + _PROGRAMS,
    "all": _HEAD + _ALL,
}
