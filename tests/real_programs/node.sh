# node
exec node -e '
    const start = Date.now(), fs = require("fs"), cp = require("child_process")
    setTimeout(() => console.log("late", Math.round((Date.now() - start) / 100)), 500)
    let n = 0; const i = setInterval(() => { if (++n == 10) { clearInterval(i); console.log("ten") } }, 100)
    new (require("worker_threads").Worker)(
        "setTimeout(() => require(`worker_threads`).parentPort.postMessage(1), 200)", { eval: true }
    ).on("message", () => console.log("worker"))
    cp.exec("sleep 2; echo child", (e, out) => console.log(out.trim()))'
