-- Gives charges of charge.lua back, as if their request had never been made. A charge that has left
-- its window by itself changes nothing.
--
-- KEYS  one log each
-- ARGV  for each log: requests, period in microseconds, the time of the charge

local RESOLUTION = 200

local function read(key, index)
  local text = redis.call('LINDEX', key, index)
  if not text then return nil end
  local latest, count, total = string.match(text, '^(%d+):(%d+):(%d+)$')
  return { latest = tonumber(latest), count = tonumber(count), total = tonumber(total) }
end

local function write(key, index, entry)
  local text = string.format('%.0f:%.0f:%.0f', entry.latest, entry.count, entry.total)
  redis.call('LSET', key, index, text)
end

local function refund(key, requests, period, at)
  local width = 1
  if requests > RESOLUTION then width = math.max(1, math.floor(period / RESOLUTION)) end
  -- The first entry that is not before the charge. A refund comes soon, so it is near the end.
  local length = redis.call('LLEN', key)
  local found, place
  for index = length - 1, 0, -1 do
    local entry = read(key, index)
    if entry.latest < at then break end
    found, place = entry, index
  end
  if not found or math.floor(found.latest / width) ~= math.floor(at / width) then return end
  for index = place + 1, length - 1 do
    local later = read(key, index)
    later.total = later.total - 1
    write(key, index, later)
  end
  if found.count > 1 then
    found.count, found.total = found.count - 1, found.total - 1
    write(key, place, found)
  else
    -- Lists have no removal by place: mark the entry, then remove what is marked.
    redis.call('LSET', key, place, '')
    redis.call('LREM', key, -1, '')
  end
end

for index, key in ipairs(KEYS) do
  local base = 3 * (index - 1)
  refund(key, tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]))
end
return 1
