-- Takes states of one fleet over unless a newer one is there, and publishes those that were taken, a line each.
-- KEYS: geo, live, order, moves channel. ARGV: time, then for each vehicle: name, order, lat or '', lon or '', JSON.
local taken = {}
for i = 2, #ARGV, 5 do
  local vehicle, order = ARGV[i], tonumber(ARGV[i + 1])
  local known = tonumber(redis.call('HGET', KEYS[3], vehicle) or '-1')
  if order >= known then
    redis.call('HSET', KEYS[3], vehicle, ARGV[i + 1])
    redis.call('HSET', KEYS[2], vehicle, ARGV[i + 4])
    if ARGV[i + 2] == '' then
      redis.call('ZREM', KEYS[1], vehicle)
    else
      redis.call('GEOADD', KEYS[1], ARGV[i + 3], ARGV[i + 2], vehicle)
    end
    taken[#taken + 1] = ARGV[i + 4]
  end
end
if #taken > 0 then
  redis.call('PUBLISH', KEYS[4], table.concat(taken, '\n'))
end
return #taken
