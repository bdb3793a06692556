-- A program for a freshly built Lua: integers, fractions, strings, tables, coroutines and garbage. It prints what anybody can compute.
print(_VERSION, math.maxinteger, math.mininteger // -1, 7 // -2, 7 % -2, -7 // 2.0, 1e308 * 10, -(0 / 0) ~= -(0 / 0))

local x, values = 1.0, {}
for i = 1, 40 do
  x = x / 3 + i * 0.7
  values[#values + 1] = string.format('%.17g', x)
end
print(table.concat(values, ' '))
print(string.format('%a %a %.3e %5.1f|%-8s|%08d', math.pi, 1 / 3, 12345.678, 2.25, 'left', 42))
print(math.sqrt(2), math.floor(-2.5), math.tointeger(2^53), 10 // 0.3, 2^0.5, math.ult(-1, 1))

-- A linear congruential generator (Knuth, TAOCP 2 §3.3.4), so that sorting has something to do.
local seed = 1
local function random()
  seed = seed * 6364136223846793005 + 1442695040888963407
  return seed >> 33
end
local numbers = {}
for i = 1, 20000 do numbers[i] = random() end
table.sort(numbers)
local check = 0
for i = 1, #numbers do check = (check * 31 + numbers[i]) & 0xffffffff end
print('sorted', numbers[1], numbers[10000], numbers[20000], check)

local words = {}
for word in ('the quick brown fox jumps over the lazy dog'):gmatch('%a+') do words[#words + 1] = word:reverse():upper() end
print(table.concat(words, '-'), (('x'):rep(100000):gsub('x', 'yz')):len())

local function primes()
  return coroutine.wrap(function()
    local found = {}
    for candidate = 2, math.huge do
      local prime = true
      for _, divisor in ipairs(found) do
        if divisor * divisor > candidate then break end
        if candidate % divisor == 0 then prime = false; break end
      end
      if prime then
        found[#found + 1] = candidate
        coroutine.yield(candidate)
      end
    end
  end)
end
local sum, next_prime = 0, primes()
for _ = 1, 5000 do sum = sum + next_prime() end
print('primes', sum)

local function bottom_up(depth) return depth == 0 and {} or { bottom_up(depth - 1), bottom_up(depth - 1) } end
local function count(tree) return tree[1] and 1 + count(tree[1]) + count(tree[2]) or 1 end
for depth = 4, 12, 4 do print('tree', depth, count(bottom_up(depth))) end
print(pcall(error, 'caught'), select('#', table.unpack({}, 1, 200)))
