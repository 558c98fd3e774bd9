# python
        exec python3 - <<'EOF'
import asyncio, concurrent.futures, multiprocessing, subprocess, threading, time

start = time.monotonic()
threads = [threading.Thread(target=time.sleep, args=(n / 10,)) for n in range(1, 6)]
[t.start() for t in threads]
[t.join() for t in threads]
print("threads", round(time.monotonic() - start, 1))

async def main():
    await asyncio.gather(*(asyncio.sleep(1) for _ in range(100)))
    process = await asyncio.create_subprocess_exec("sleep", "1")
    await process.wait()
    try:
        await asyncio.wait_for(asyncio.sleep(9), 0.5)
    except asyncio.TimeoutError:
        print("timeout")

asyncio.run(main())
print("asyncio", round(time.monotonic() - start, 1))
with multiprocessing.Pool(4) as pool:
    print(pool.map(abs, range(-5, 0)))
with concurrent.futures.ProcessPoolExecutor(2) as pool:
    print(sum(pool.map(abs, range(-5, 0))))
try:
    subprocess.run(["sleep", "9"], timeout=0.5)
except subprocess.TimeoutExpired:
    print("killed")
EOF
