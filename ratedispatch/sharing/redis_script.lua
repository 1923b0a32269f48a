-- What ratedispatch.pacing.shared.record does with a note, number by number.
--
-- KEYS[1] holds the whole state. ARGV[1] holds, as MessagePack: the member's key, the number of its
-- note, whether the note was sent before, the epoch that it is for (0 for any), and the note.
-- Returns a sheet as MessagePack, or a number that says why nothing was done.
-- The values in capitals are written above this text when it is loaded.

local OTHER_EPOCH, NO_ROOM_FOR_LIMIT, NO_ROOM_FOR_MEMBER, OTHER_LAYOUT = 1, 2, 3, 4
local LAYOUT = 1
-- places in a limit, after which its sums come
local NAME, AT, USED, SURPLUS, FLOW, BURST, CEILING, LEARNED, CHANGES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local SUMS = 9
-- places in a member, after which come, for each limit, what it holds, has set and knows
local KEY, NUMBER, TOLD_AT, WAITS_SINCE, PRIORITY, WAS_REAPED, TOLD_REAPED = 1, 2, 3, 4, 5, 6, 7
local HELD, ASKED, KNOWN = 8, 9, 10
local PER_LIMIT = 3
local huge = math.huge
local pack, unpack_all = cmsgpack.pack, cmsgpack.unpack

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

if ARGV[1] == 'check' then -- whether this server lets all through that is needed
  redis.call('GET', KEYS[1])
  redis.call('SET', KEYS[1], '', 'PX', 1)
  return 'OK'
end

local id, number, is_again, for_epoch, note = unpack(unpack_all(ARGV[1]))
local limit_notes = note[2]
local wants, priority, leaves = note[4], note[5], note[6]

local text = redis.call('GET', KEYS[1])
local layout, epoch, news, looked_at, living, wanting, began, ends, limits, members
if text then
  layout, epoch, news, looked_at, living, wanting, began, ends, limits, members =
    unpack(unpack_all(text))
  if layout ~= LAYOUT then return OTHER_LAYOUT end
else
  epoch, news, looked_at, living, wanting, began, ends, limits, members =
    now, 0, -huge, 0, 0, false, false, {}, {}
end
if for_epoch ~= 0 and (not text or epoch ~= for_epoch) then return OTHER_EPOCH end

local function available(limit)
  return limit[BURST] - limit[USED] + limit[SURPLUS]
end

local function leak(limit, till)
  till = till or now
  if till > limit[AT] then
    local used = limit[USED] - (till - limit[AT]) * limit[FLOW]
    limit[USED] = used > 0 and used or 0
  end
  limit[AT] = till
  if limit[SURPLUS] > 0 then
    local excess = available(limit) - math.max(limit[BURST], limit[CEILING])
    if excess > 0 then limit[SURPLUS] = math.max(0, limit[SURPLUS] - excess) end
  end
end

local function take(limit, amount)
  if amount < 0 then
    limit[USED] = math.max(0, limit[USED] + amount)
  elseif limit[SURPLUS] > 0 then
    local lacking = amount - (limit[BURST] - limit[USED])
    local from_surplus = math.min(limit[SURPLUS], math.max(0, lacking))
    limit[SURPLUS] = limit[SURPLUS] - from_surplus
    limit[USED] = limit[USED] + (amount - from_surplus)
  else
    limit[USED] = limit[USED] + amount
  end
end

local function give_back(member)
  local has_held = false
  for place, limit in ipairs(limits) do
    local at = HELD + (place - 1) * PER_LIMIT
    local held = member[at]
    if held then
      leak(limit)
      if held > 0 and available(limit) < 0 then -- without a debt its turn came, and it was sent
        take(limit, -held)
        limit[SUMS + 1] = limit[SUMS + 1] - held
      end
      has_held = has_held or held > 0
      member[at] = false
    end
  end
  return has_held
end

local function look()
  looked_at = now
  local kept, wanted = {}, 0
  for _, member in ipairs(members) do
    local silence = now - member[TOLD_AT]
    if silence > FORGOTTEN_SECONDS then
      give_back(member)
    else
      kept[#kept + 1] = member
      if silence >= 0 and silence <= WANTING_SECONDS then
        wanted = wanted + 1
      elseif give_back(member) then
        member[WAS_REAPED] = true
      end
    end
  end
  members = kept
  if wanted ~= wanting or #members ~= living then news = news + 1 end
  wanting, living = wanted, #members
end

local function save()
  redis.call('SET', KEYS[1], pack({
    LAYOUT, epoch, news, looked_at, living, wanting, began, ends, limits, members,
  }), 'EX', KEPT_SECONDS)
end

-- make room for what is new
local me
for _, member in ipairs(members) do
  if member[KEY] == id then me = member end
end
local is_new = not me
if is_new and is_again and leaves then return OTHER_EPOCH end -- it has left already
if is_new and #members >= MOST_MEMBERS then look() end -- there may be room by now
local places, missing = {}, {}
for place, limit in ipairs(limits) do places[limit[NAME]] = place end
for _, told in ipairs(limit_notes) do
  if not places[told[1]] then missing[#missing + 1] = told end
end
if #limits + #missing > MOST_LIMITS then
  if text then save() end
  return NO_ROOM_FOR_LIMIT
end
if is_new then
  if #members >= MOST_MEMBERS then
    save()
    return NO_ROOM_FOR_MEMBER
  end
  me = {id, 0, now, -huge, 0, false, false}
  for _ = 1, #limits do
    me[#me + 1], me[#me + 2], me[#me + 3] = false, huge, 0
  end
  members[#members + 1] = me
end
for _, told in ipairs(missing) do
  local limit = {told[1], now, math.max(0, told[4] - told[6]), 0, told[3], told[4], 0, false, 0}
  for sum = 1, TOTALS do limit[SUMS + sum] = 0 end
  limits[#limits + 1] = limit
  places[told[1]] = #limits
  for _, member in ipairs(members) do
    local last = #member
    member[last + 1], member[last + 2], member[last + 3] = false, huge, 0
  end
end
local is_done = number <= me[NUMBER] -- it was taken in, but the reply was lost

-- the member
local silence = now - me[TOLD_AT]
local is_back = is_new or not (silence >= 0 and silence <= WANTING_SECONDS)
local was_reaped = is_new or me[WAS_REAPED] or (is_done and me[TOLD_REAPED])
if is_back then
  was_reaped = give_back(me) or was_reaped
  news = news + 1
end
me[TOLD_AT], me[WAS_REAPED], me[TOLD_REAPED] = now, false, was_reaped
me[PRIORITY] = priority
me[WAITS_SINCE] = wants and now or -huge
local since_look = now - looked_at
if is_back or not (since_look >= 0 and since_look < LOOK_SECONDS) then look() end
local pause = note[3]
if pause and (not began or pause[1] > began) then
  began, ends = pause[1], pause[2]
  news = news + 1
end

-- its limits; what is returned of each is packed piece by piece, since nil cannot stand in an array
local answer = {}
for _, told in ipairs(limit_notes) do
  local place = places[told[1]]
  local limit = limits[place]
  local at = HELD + (place - 1) * PER_LIMIT
  local learned = told[8] and pack(told[8])
  local shown = false
  if is_done then
    leak(limit)
    shown = limit[LEARNED] ~= learned and limit[LEARNED]
  else
    local is_known = me[at + 2] == limit[CHANGES]
    -- up to when the last of it was taken: what has flowed in since is not lost
    leak(limit, now >= limit[AT] and math.min(now, math.max(limit[AT], told[11])) or now)
    limit[USED] = math.max(0, limit[USED] + told[4] - limit[BURST])
    limit[FLOW], limit[BURST] = told[3], told[4]
    local added = told[2]
    take(limit, added[1])
    leak(limit)
    for sum = 1, TOTALS do limit[SUMS + sum] = limit[SUMS + sum] + added[sum] end
    local stand = told[7]
    if stand then
      local missed = limit[SUMS + 1] - stand[3] -- by others, unknown to who has proven it
      local proven = stand[1] - missed
      limit[SURPLUS] = math.max(0, math.min(stand[2], stand[2] - missed))
      limit[USED] = math.max(0, limit[BURST] - proven + limit[SURPLUS])
      limit[CEILING] = told[5]
    end
    if learned and learned ~= limit[LEARNED] then
      limit[LEARNED], limit[CHANGES] = learned, limit[CHANGES] + 1
      news = news + 1
    end
    shown = not learned and not is_known and limit[LEARNED]
    me[at] = told[9]
  end
  me[at + 2] = limit[CHANGES]
  if me[at + 1] ~= told[10] then
    me[at + 1] = told[10]
    news = news + 1
  end
  local asked = huge
  for _, member in ipairs(members) do asked = math.min(asked, member[at + 1]) end
  local sums = {}
  for sum = 1, TOTALS do sums[sum] = limit[SUMS + sum] end
  answer[#answer + 1] = '\151' -- an array of 7
    .. pack(limit[NAME], sums, available(limit), limit[SURPLUS], limit[CEILING])
    .. (shown or '\192') .. pack(asked)
end
if not is_done then me[NUMBER] = number end

if leaves then
  give_back(me)
  local kept = {}
  for _, member in ipairs(members) do
    if member ~= me then kept[#kept + 1] = member end
  end
  members = kept
  look()
end

local rival
for _, member in ipairs(members) do
  local waits = now - member[WAITS_SINCE]
  if member ~= me and waits >= 0 and waits <= WAITING_SECONDS then
    rival = math.max(rival or -huge, member[PRIORITY])
  end
end

save()
return '\153' -- an array of 9
  .. pack(now, epoch) .. string.char(144 + #answer) .. table.concat(answer)
  .. (began and pack({began, ends}) or '\192') .. pack(living, wanting)
  .. (rival and pack(rival) or '\192') .. pack(news, was_reaped)
