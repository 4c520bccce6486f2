-- What wrk asks for, and what it reports. Arguments: names and values of header fields, of which each
-- request has one, in turns. There is no `response` function on purpose: wrk would call it for each
-- answer.
local requests, turn = {}, 0

init = function(arguments)
  for place = 1, #arguments, 2 do
    local name = arguments[place]
    wrk.headers[name] = arguments[place + 1]
    requests[#requests + 1] = wrk.format()
    wrk.headers[name] = nil
  end
  -- Without arguments wrk sends its one ready request and calls no Lua at all.
  if #requests > 0 then
    request = function()
      turn = turn % #requests + 1
      return requests[turn]
    end
  end
end

-- One line of JSON. Latencies are in microseconds.
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'report {"requests":%d,"bytes":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,' ..
    '"failed_statuses":%d,"failed_sockets":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    latency:percentile(50.0), latency:percentile(99.0),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
