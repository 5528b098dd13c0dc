-- KEYS: a stream. ARGV: the group, a consumer, most entries, after how many ms entries of others are taken over.
-- Answers how many entries the consumer was given. A consumer is given entries once, so that it can be asked for them again.
local key, group, consumer, left = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('XGROUP', 'CREATECONSUMER', key, group, consumer) == 0 then
  return -1
end
local given = 0
local from, looks = '0-0', 0
repeat
  local claimed = redis.call('XAUTOCLAIM', key, group, consumer, ARGV[4], from, 'COUNT', math.min(left, 1000), 'JUSTID')
  given, left = given + #claimed[2], left - #claimed[2]
  from, looks = claimed[1], looks + 1
until from == '0-0' or left <= 0 or looks >= 1000
while left > 0 do
  local wanted = math.min(left, 1000)
  local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', wanted, 'STREAMS', key, '>')
  local got = read and #read[1][2] or 0
  given, left = given + got, left - got
  if got < wanted then
    break
  end
end
return given
