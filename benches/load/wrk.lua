-- wrk script: sends the requests of the file REQUESTS one after the other, again from the top at its end.
-- A line is METHOD <tab> PATH <tab> TOKEN (may be empty) <tab> BODY (to the end of the line).
-- It prints one line for traffic.py: RESULT requests, microseconds, p50, p99, failures.
local requests, next_one = {}, 0
failures, failure = 0, "" -- global: done() reads them from each thread

function init()
  for line in io.lines(os.getenv("REQUESTS")) do
    local method, path, token, body = line:match("^(%S+)\t(%S+)\t(%S*)\t(.*)$")
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    if body ~= "" then headers["Content-Type"] = body:sub(1, 1) == "{" and "application/json" or "text/plain" end
    requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

-- GraphQL servers answer 200 to what fails, too.
function response(status, _, text)
  if status >= 200 and status < 300 and not text:find('"errors"', 1, true)
      and not text:find('"userErrors":[{', 1, true) then return end
  failures = failures + 1
  if failures == 1 then failure = status .. " " .. text:sub(1, 300):gsub("%s+", " ") end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local e = summary.errors
  local failed, text = e.connect + e.read + e.write + e.timeout, ""
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("failures")
    text = text .. thread:get("failure")
  end
  print(string.format("RESULT %d %d %d %d %d %s", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed, text))
end
