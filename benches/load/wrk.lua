-- wrk script: sends the requests of the file named by REQUESTS in their order, repeatedly.
-- Each line is METHOD <tab> PATH <tab> TOKEN (may be empty) <tab> BODY (to the end of the line).
-- It prints one line for traffic.py: RESULT, number of requests, duration in microseconds, p50 and
-- p99 in microseconds, number of failures, first failure.
local requests, position = {}, 0
failures, failure = 0, "" -- Globals, which done() reads from each thread.

function init()
  for line in io.lines(os.getenv("REQUESTS")) do
    local method, path, token, body = line:match("^(%S+)\t(%S+)\t(%S*)\t(.*)$")
    local headers = {}
    if token ~= "" then headers["Authorization"] = "Bearer " .. token end
    if body ~= "" then
      headers["Content-Type"] = body:sub(1, 1) == "{" and "application/json" or "text/plain"
    end
    requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

-- GraphQL servers respond with status 200 to failed operations too.
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
