// What a Java program may rely on: parked threads, timers, selectors, its HTTP server and client, processes.
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.channels.Selector;
import java.time.Duration;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import com.sun.net.httpserver.HttpServer;

public class Parts {
    /** Tenths of a second since, rounded. */
    static long tenths(long since) { return Math.round((System.nanoTime() - since) / 1e8); }

    static void waits() throws Exception {
        long start = System.nanoTime(), date = System.currentTimeMillis();
        Thread.sleep(500);
        synchronized (Parts.class) { Parts.class.wait(500); }
        LockSupport.parkNanos(500_000_000L);
        new CountDownLatch(1).await(500, TimeUnit.MILLISECONDS);
        System.out.println("waits " + tenths(start) + " " + Math.round((System.currentTimeMillis() - date) / 100.0));
    }

    static void scheduled() throws Exception {
        ScheduledExecutorService pool = Executors.newScheduledThreadPool(4);
        AtomicInteger ticks = new AtomicInteger();
        pool.scheduleAtFixedRate(ticks::incrementAndGet, 100, 100, TimeUnit.MILLISECONDS);
        Thread.sleep(1050);
        pool.shutdownNow();
        System.out.println("ticks " + ticks);
    }

    static void sockets() throws Exception {
        long start = System.nanoTime();
        Selector.open().select(300);
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            socket.setSoTimeout(300);
            socket.accept();
        } catch (SocketTimeoutException e) {
            System.out.println("sockets " + tenths(start));
        }
    }

    static void http() throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            try { Thread.sleep(500); } catch (InterruptedException e) { throw new IOException(e); }
            exchange.sendResponseHeaders(200, 6);
            exchange.getResponseBody().write("answer".getBytes());
            exchange.close();
        });
        server.start();
        HttpRequest.Builder to = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.getAddress().getPort()));
        HttpClient client = HttpClient.newHttpClient();
        System.out.println(client.send(to.build(), HttpResponse.BodyHandlers.ofString()).body());
        long start = System.nanoTime();
        try {
            client.send(to.timeout(Duration.ofMillis(200)).build(), HttpResponse.BodyHandlers.ofString());
        } catch (HttpTimeoutException e) {
            System.out.println("timeout " + tenths(start));
        }
        server.stop(0);
    }

    static void processes() throws Exception {
        Process child = new ProcessBuilder("sleep", "60").start();
        System.out.println("ended " + child.waitFor(300, TimeUnit.MILLISECONDS));
        child.destroy();
        System.out.println("status " + child.waitFor());
    }

    public static void main(String[] arguments) throws Exception {
        waits();
        scheduled();
        sockets();
        http();
        processes();
        System.exit(0);
    }
}
