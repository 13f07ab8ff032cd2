-- Sends the requests of a file in turn, each with its length before it, and reports in JSON.

local threads = {}
local requests = {}
sent = 0 -- global, so that done() can read it from each thread

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local size = file:read("*n")
  while size do
    file:read(1)
    table.insert(requests, file:read(size))
    size = file:read("*n")
  end
  file:close()
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency, _)
  local all = 0
  for _, thread in ipairs(threads) do
    all = all + thread:get("sent")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"sent": %d, "answered": %d, "seconds": %.6f, "failed": %d, "p50": %d, "p95": %d, "p99": %d}\n',
    all, summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
