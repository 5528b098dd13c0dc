-- KEYS: a stream. ARGV: the group, a consumer, what becomes of its entries: 'ack' or 'back', then who gets them back.
-- The consumer is gone afterwards. Entries that are given back count as left alone for long, so the next one takes them over.
local key, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local settled = 0
while true do
  local pending = redis.call('XPENDING', key, group, '-', '+', 1000, consumer)
  if #pending == 0 then
    break
  end
  local ids = {}
  for at, entry in ipairs(pending) do
    ids[at] = entry[1]
  end
  if ARGV[3] == 'ack' then
    redis.call('XACK', key, group, unpack(ids))
  else
    local claim = {'XCLAIM', key, group, ARGV[4], 0}
    for _, id in ipairs(ids) do
      claim[#claim + 1] = id
    end
    for _, word in ipairs({'IDLE', 2592000000, 'JUSTID'}) do
      claim[#claim + 1] = word
    end
    -- Entries that were deleted meanwhile cannot be claimed, and are done with.
    redis.call(unpack(claim))
    local left = redis.call('XPENDING', key, group, ids[1], ids[#ids], #ids, consumer)
    for _, entry in ipairs(left) do
      redis.call('XACK', key, group, entry[1])
    end
  end
  settled = settled + #ids
end
redis.call('XGROUP', 'DELCONSUMER', key, group, consumer)
return settled
