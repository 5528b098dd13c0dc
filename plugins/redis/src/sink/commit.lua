-- KEYS: the marker, then one list of staged rows for each partition.
-- ARGV: what rows become, their time to live in ms or 0, the marker's in s, then how many rows each list has.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local kind, ttl = ARGV[1], tonumber(ARGV[2])
for i = 2, #KEYS do
  if redis.call('LLEN', KEYS[i]) ~= tonumber(ARGV[i + 2]) then
    return redis.error_reply('AZORASTAGE rows are missing')
  end
end
local function each(work)
  for i = 2, #KEYS do
    local rows = tonumber(ARGV[i + 2])
    for from = 0, rows - 1, 1000 do
      for _, packed in ipairs(redis.call('LRANGE', KEYS[i], from, from + 999)) do
        work(cmsgpack.unpack(packed))
      end
    end
  end
end
-- Writing a string replaces whatever is there; the others would fail in the middle.
if kind ~= 'string' then
  local seen, wrong = {}, nil
  each(function(row)
    if not seen[row[1]] then
      seen[row[1]] = true
      local of = redis.call('TYPE', row[1])['ok']
      if of ~= 'none' and of ~= kind then
        wrong = wrong or row[1]
      end
    end
  end)
  if wrong then
    return redis.error_reply('AZORATYPE ' .. wrong)
  end
end
local write = {
  string = function(row)
    if ttl > 0 then
      redis.call('SET', row[1], row[2], 'PX', ttl)
    else
      redis.call('SET', row[1], row[2])
    end
  end,
  list = function(row) redis.call('RPUSH', row[1], row[2]) end,
  hash = function(row) redis.call('HSET', unpack(row)) end,
  stream = function(row) redis.call('XADD', row[1], '*', unpack(row, 2)) end,
}
each(write[kind])
redis.call('SET', KEYS[1], 1, 'EX', ARGV[3])
return 1
