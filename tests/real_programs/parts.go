// What a Go program may rely on: the runtime's own system calls, timers, preemption, net/http.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// tenths tells a duration in tenths of a second, rounded.
func tenths(since time.Time) int { return int(time.Since(since).Round(100*time.Millisecond) / (100 * time.Millisecond)) }

func sleepers() {
	start := time.Now()
	var group sync.WaitGroup
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			time.Sleep(time.Duration(i) * time.Millisecond)
		}(i)
	}
	group.Wait()
	fmt.Println("sleepers", tenths(start))
}

func ticker() {
	start, ticks := time.Now(), 0
	ticker := time.NewTicker(100 * time.Millisecond)
	timeout := time.After(1050 * time.Millisecond)
	for {
		select {
		case <-ticker.C:
			ticks++
		case <-timeout:
			ticker.Stop()
			fmt.Println("ticks", ticks, tenths(start))
			return
		}
	}
}

// A loop without calls is left only by the runtime's SIGURG.
func preemption() {
	var stop, count = make(chan bool), 0
	go func() {
		for {
			count++
		}
	}()
	go func() { time.Sleep(50 * time.Millisecond); stop <- true }()
	<-stop
	fmt.Println("preempted")
}

func server() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(500 * time.Millisecond)
		io.WriteString(w, "slow answer")
	})
	go http.Serve(listener, mux)
	url := "http://" + listener.Addr().String() + "/slow"

	start := time.Now()
	answer, err := http.Get(url)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(string(body), tenths(start))

	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start = time.Now()
	request, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	_, err = http.DefaultClient.Do(request)
	fmt.Println("cancelled", err != nil, ctx.Err(), tenths(start))
}

func deadline() {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	start := time.Now()
	socket.SetReadDeadline(start.Add(300 * time.Millisecond))
	_, _, err = socket.ReadFrom(make([]byte, 16))
	fmt.Println("deadline", os.IsTimeout(err), tenths(start))
}

func processes() {
	start := time.Now()
	out, err := exec.Command("sh", "-c", "sleep 0.4; echo child").Output()
	fmt.Print(string(out))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err = exec.CommandContext(ctx, "sleep", "60").Run()
	fmt.Println(err, tenths(start))
}

func signals() {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	time.AfterFunc(100*time.Millisecond, func() { syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
	fmt.Println("caught", <-caught)
}

func main() {
	for _, part := range []func(){sleepers, ticker, server, deadline, processes, signals, preemption} {
		part()
	}
}
