-- Adds a revocation and gives it the next number; answers 0 when there is no room.
--
-- KEYS  the last number, the entries by number, the entries by expiry
-- ARGV  now and the entry's expiry in seconds since 1970 around the entry, most entries

-- Some at a time, so that no call takes long.
local expired = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[1], 'LIMIT', 0, 1000)
for _, entry in ipairs(expired) do
  redis.call('ZREM', KEYS[2], entry)
  redis.call('ZREM', KEYS[3], entry)
end

local known = redis.call('ZSCORE', KEYS[2], ARGV[2])
if not known and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end

-- Numbers grow with the clock too, so that a server that lost its data gives none a second time.
local time = redis.call('TIME')
local clock_us = time[1] * 1000000 + time[2]
local number = math.max(tonumber(redis.call('GET', KEYS[1]) or 0) + 1, clock_us)
local text = string.format('%.0f', number)
redis.call('SET', KEYS[1], text)
redis.call('ZADD', KEYS[2], text, ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
return number
