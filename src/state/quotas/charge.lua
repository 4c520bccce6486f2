-- Charges one request to several quotas, or to none: a sliding log for each, as in
-- src/ratelimit/window.rs, which says why and whose decisions these are.
--
-- KEYS     one log each
-- ARGV[1]  the time in microseconds since 1970; empty for this server's clock, which every gateway
--          shares, and which is what gateways ask for
-- ARGV     then for each log: requests, period in microseconds
--
-- A log is a list of "latest:count:total", oldest first: the time of the latest request of the
-- entry, how many it stands for, and how many the log has taken in up to and with it. Totals spare
-- reading the entries between the oldest and the newest.
--
-- Times and totals stay below 2^53, so they are exact as Lua's numbers. They are never written with
-- tostring(), which would round them.
--
-- Answers {1, then for each log: time, remaining, reset in microseconds} or {0, then for each log:
-- the wait in microseconds, or -1 where it would have accepted}.

local RESOLUTION = 200

local function read(key, index)
  local text = redis.call('LINDEX', key, index)
  if not text then return nil end
  local latest, count, total = string.match(text, '^(%d+):(%d+):(%d+)$')
  return { latest = tonumber(latest), count = tonumber(count), total = tonumber(total) }
end

local function written(entry)
  return string.format('%.0f:%.0f:%.0f', entry.latest, entry.count, entry.total)
end

local function now_us()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local now = now_us()

-- The log behind a key, without what has left the window. Nothing is written yet.
local function open(key, requests, period)
  local log = { key = key, requests = requests, period = period, at = now, skipped = 0, used = 0 }
  log.newest = read(key, -1)
  -- Times from beyond the next period are those of a clock that was set back: they say nothing.
  if log.newest and log.newest.latest > now + period then
    log.newest = nil
    log.dead = true
  end
  if not log.newest then return log end
  log.at = math.max(now, log.newest.latest)
  local entry = read(key, 0)
  while entry and entry.latest + period <= log.at do
    log.skipped = log.skipped + 1
    entry = read(key, log.skipped)
  end
  log.oldest = entry
  if entry then
    log.used = log.newest.total - entry.total + entry.count
  else
    log.newest = nil
  end
  return log
end

-- How long until enough has left the window for one more request.
local function wait(log, used)
  local index, entry = log.skipped, log.oldest
  while entry do
    used = used - entry.count
    if used < log.requests then return entry.latest + log.period - log.at end
    index = index + 1
    entry = read(log.key, index)
  end
  return log.period
end

local function same_cell(log, at)
  local width = 1
  if log.requests > RESOLUTION then
    width = math.max(1, math.floor(log.period / RESOLUTION))
  end
  return math.floor(log.newest.latest / width) == math.floor(at / width)
end

local function accept(log)
  if log.dead or (log.skipped > 0 and not log.newest) then
    redis.call('DEL', log.key)
  elseif log.skipped > 0 then
    redis.call('LTRIM', log.key, log.skipped, -1)
  end
  log.dead, log.skipped = nil, 0
  local newest = log.newest
  if newest and same_cell(log, log.at) then
    newest.latest, newest.count, newest.total = log.at, newest.count + 1, newest.total + 1
    redis.call('LSET', log.key, -1, written(newest))
    -- The oldest may be the same entry, read a second time.
    if log.oldest.total + 1 == newest.total then log.oldest = newest end
  else
    local total = newest and newest.total or 0
    log.newest = { latest = log.at, count = 1, total = total + 1 }
    log.oldest = log.oldest or log.newest
    redis.call('RPUSH', log.key, written(log.newest))
  end
  log.used = log.used + 1
  local left_us = log.at - now + log.period
  redis.call('PEXPIRE', log.key, string.format('%.0f', math.ceil(left_us / 1000) + 1))
end

-- A key that is there twice is one log, charged twice.
local logs, by_key, pending = {}, {}, {}
local refused, waits = false, { 0 }
for index, key in ipairs(KEYS) do
  local log = by_key[key]
  if not log then
    log = open(key, tonumber(ARGV[2 * index]), tonumber(ARGV[2 * index + 1]))
    by_key[key], pending[key] = log, 0
  end
  logs[index] = log
  if log.used + pending[key] >= log.requests then
    refused = true
    waits[index + 1] = wait(log, log.used + pending[key])
  else
    pending[key] = pending[key] + 1
    waits[index + 1] = -1
  end
end
if refused then return waits end

local answer = { 1 }
for _, log in ipairs(logs) do
  accept(log)
  answer[#answer + 1] = log.at
  answer[#answer + 1] = log.requests - log.used
  answer[#answer + 1] = log.oldest.latest + log.period - log.at
end
return answer
