-- wrk script: the timeline of random users, 20 posts with authors and their counts, over GraphQL.
-- TOKENS names a file with a bearer token a line.
local tokens = {}
for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = line end
math.randomseed(7)

local body = [[{"query":"{ viewer { user { timeline(first: 20) { nodes { id body author { id username followersCount followingCount } } } } } }"}]]
local graphql = os.getenv("ENDPOINT") ~= "plain"

function request()
  local token = tokens[math.random(#tokens)]
  local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
  if graphql then return wrk.format("POST", "/graphql", headers, body) end
  return wrk.format("GET", "/timeline", headers)
end

function response(status, _, text)
  if status ~= 200 or text:find('"errors"', 1, true) then error(status .. " " .. text) end
end
