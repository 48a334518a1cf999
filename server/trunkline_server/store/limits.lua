-- Decides about all limits of one call at once, or gives back what a call did not use. The arithmetic is that of
-- core/limiting.py; what is counted stands in one key per bound.
--
-- ARGV: mode (take | give | look), now (0: the server's clock), lease, until when a lease lasts after now,
--       then for each key: algorithm, amount, window, burst, units, taken
-- Returns: now, the position of the bound that refuses (0: none), then for each key: remaining, wait, refill

local SLACK = 1e-3
local mode, now, lease, lease_us = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end

local function exact(number)
    return string.format('%.0f', number)
end

local function read(key)
    local kept = redis.call('GET', key)
    if not kept then return 0, 0, 0 end
    local one, two, three = string.match(kept, '(%S+) (%S+) (%S+)')
    return tonumber(one), tonumber(two), tonumber(three)
end

local function write(key, keep_us, one, two, three)
    local kept = string.format('%.17g %.17g %.17g', one, two, three)
    redis.call('SET', key, kept, 'PX', math.ceil(keep_us / 1000) + 1000)
end

local bucket = {}
function bucket.load(b)
    b.level, b.at = read(b.key)
    if now > b.at then
        b.level = math.max(0, b.level - (now - b.at) * b.amount / b.window)
        b.at = now
    end
end
function bucket.look(b)
    local per_unit = b.window / b.amount
    local excess, wait = b.level + b.units - b.burst, 0
    if excess > SLACK then wait = math.ceil(excess * per_unit) end
    return math.floor(b.burst - b.level + SLACK), wait, math.ceil(b.level * per_unit)
end
function bucket.add(b)
    b.level = math.max(0, b.level + b.units)
    write(b.key, b.level * b.window / b.amount, b.level, b.at, 0)
end

local function start_of(b)
    return now - math.fmod(now, b.window)
end

local fixed = {}
function fixed.load(b)
    b.start, b.used = read(b.key)
    local start = start_of(b)
    if start > b.start then b.start, b.used = start, 0 end
end
function fixed.look(b)
    local left, wait, refill = b.start + b.window - now, 0, 0
    if b.used + b.units > b.amount + SLACK then wait = left end
    if b.used > 0 then refill = left end
    return math.floor(b.amount - b.used), wait, refill
end
function fixed.add(b)
    if b.units > 0 or b.taken >= b.start then b.used = math.max(0, b.used + b.units) end
    write(b.key, b.window, b.start, b.used, 0)
end

local sliding = {}
function sliding.load(b)
    b.start, b.used, b.before = read(b.key)
    local start = start_of(b)
    if start > b.start then
        if start - b.start == b.window then b.before = b.used else b.before = 0 end
        b.start, b.used = start, 0
    end
end
function sliding.look(b)
    local weighed, wait, refill = b.before * (1 - (now - b.start) / b.window) + b.used, 0, 0
    if weighed + b.units > b.amount + SLACK then
        local room, due = b.amount - b.units - b.used, 0
        if room >= 0 then
            due = b.start + b.window * (1 - room / b.before)
        else
            due = b.start + b.window + b.window * (1 - (b.amount - b.units) / b.used)
        end
        wait = math.ceil(due - now)
    end
    if b.used > 0 then
        refill = b.start + b.window + b.window - now
    elseif b.before > 0 then
        refill = b.start + b.window - now
    end
    return math.floor(b.amount - weighed + SLACK), wait, refill
end
function sliding.add(b)
    if b.units > 0 or b.taken >= b.start then
        b.used = math.max(0, b.used + b.units)
    else
        b.before = math.max(0, b.before + b.units)
    end
    write(b.key, 2 * b.window, b.start, b.used, b.before)
end

local leases = {}
function leases.load(b)
    redis.call('ZREMRANGEBYSCORE', b.key, '-inf', exact(now))
    b.inside = redis.call('ZCARD', b.key)
end
function leases.look(b)
    local remaining, wait = b.amount - b.inside, 0
    if b.units > remaining then wait = redis.call('ZRANGE', b.key, 0, 0, 'WITHSCORES')[2] - now end
    return remaining, wait, 0
end
function leases.add(b)
    if b.units > 0 then
        redis.call('ZADD', b.key, exact(now + lease_us), lease)
        local keep_ms = math.ceil(lease_us / 1000) + 1000
        if keep_ms > redis.call('PTTL', b.key) then redis.call('PEXPIRE', b.key, keep_ms) end
    else
        redis.call('ZREM', b.key, lease)
    end
    b.inside = redis.call('ZCARD', b.key)
end

local kinds = { bucket = bucket, fixed = fixed, sliding = sliding, leases = leases }
local bounds, refuses, longest = {}, 0, 0
for i, key in ipairs(KEYS) do
    local at = 4 + (i - 1) * 6
    local b = { key = key, kind = kinds[ARGV[at + 1]], amount = tonumber(ARGV[at + 2]), window = tonumber(ARGV[at + 3]),
                burst = tonumber(ARGV[at + 4]), units = tonumber(ARGV[at + 5]), taken = tonumber(ARGV[at + 6]) }
    b.kind.load(b)
    if mode == 'take' then
        local _, wait = b.kind.look(b)
        if wait > longest then refuses, longest = i, wait end
    end
    bounds[i] = b
end

local told = { now, refuses }
for _, b in ipairs(bounds) do
    if mode == 'give' or (mode == 'take' and refuses == 0) then
        b.kind.add(b)
        b.units = 0
    end
    local remaining, wait, refill = b.kind.look(b)
    told[#told + 1], told[#told + 2], told[#told + 3] = remaining, wait, refill
end
return told
