"""Changes to who owns which entries of the stream, each atomic because Valkey runs it as one script.

Scripts and not MULTI: a script can go on where a server whose memory is full refuses a write, and answers with less.
"""

# A flusher that gave no sign loses all that it holds at once, so a batch is never torn apart.
# KEYS: stream, key that exists while the flusher lives. ARGV: group, its name, name of the heir.
CLAIM = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1000000, ARGV[2])
for _, one in ipairs(pending) do redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, one[1], 'JUSTID') end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return #pending
"""

# Writes down what is about to be inserted under which token, unless some of it was claimed meanwhile: then it only says
# what. Memory for the intent may be lacking. Going without it is better than not emptying the stream any more; should
# this flusher then be taken for dead while it inserts, its heir chooses another token and rows may come in twice.
# KEYS: stream, intents. ARGV: group, name, token, intent, ids of the entries in order.
FENCE = """
local own, lost = {}, {}
for _, one in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[5], ARGV[#ARGV], 1000000, ARGV[2])) do
    own[one[1]] = true
end
for i = 5, #ARGV do
    if not own[ARGV[i]] then lost[#lost + 1] = ARGV[i] end
end
if #lost == 0 then redis.pcall('HSET', KEYS[2], ARGV[3], ARGV[4]) end
return lost
"""

# KEYS: stream, intents. ARGV: group, token, ids of the entries; Lua passes on no more than 8000 at a time.
ACKNOWLEDGE = """
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 3))
redis.call('XDEL', KEYS[1], unpack(ARGV, 3))
redis.call('HDEL', KEYS[2], ARGV[2])
"""
