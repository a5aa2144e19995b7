-- Requests of one mix for wrk: pages with a cookie, calls with a token, saves of states.
-- Arguments: the cookie, the token, how many percent of the requests save a state, how many agents there are.

local cookie, token, saves, agents
local reads = {
  "/", "/agents/", "/agents/?status=failed", "/agents/AGENT/", "/agents/AGENT/timeline/", "/events/", "/events/?q=parser",
  "/api/v1/agents?limit=100", "/api/v1/agents/AGENT", "/api/v1/agents/AGENT/transitions", "/api/v1/events?limit=100",
}

function init(args)
  cookie, token, saves, agents = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  -- Each thread of wrk draws others.
  math.randomseed(os.time())
end

local function agent()
  return "agent-" .. math.random(0, agents - 1)
end

function request()
  if math.random(100) <= saves then
    local state = '{"state": {"step": ' .. math.random(1000000) .. ', "notes": "' .. string.rep("n", 2000) .. '"}, "reason": "load"}'
    local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
    return wrk.format("PUT", "/api/v1/agents/" .. agent(), headers, state)
  end
  local path = reads[math.random(#reads)]:gsub("AGENT", agent())
  if path:find("^/api/") then
    return wrk.format("GET", path, { ["Authorization"] = "Bearer " .. token })
  end
  return wrk.format("GET", path, { ["Cookie"] = cookie })
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.3f, "p50": %.2f, "p99": %.2f, "refused": %d, "lost": %d}\n',
    summary.requests, summary.duration / 1000000, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
