-- Asks the paths in turn and pauses between two requests of a connection; what came of it is printed as one line of JSON.
--
--   wrk -s wrk.lua URL -- PAUSE PATH...
--
-- PAUSE is in milliseconds, the mean of what each connection waits; 0 for none.

local requests, number = {}, 0

function init(args)
   local pause = tonumber(args[1])
   for index = 2, #args do
      requests[index - 1] = wrk.format("GET", args[index])
   end
   if pause > 0 then
      -- All connections begin at once: only pauses of different lengths make them independent of each other.
      function delay()
         return math.random(0, 2 * pause)
      end
   end
end

function request()
   number = number % #requests + 1
   return requests[number]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      'result {"requests": %d, "microseconds": %d, "octets": %d, "p50": %d, "p95": %d, "p99": %d, "maximum": %d, '
         .. '"refused": %d, "broken": %d}\n',
      summary.requests, summary.duration, summary.bytes,
      latency:percentile(50), latency:percentile(95), latency:percentile(99), latency.max,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout
   ))
end
