// What runs in the pods of the tests: `serve ADDRESS` answers HTTP and echoes UDP, `get URL COUNT` asks,
// `ask URL SECONDS PATIENCE` goes on asking, whatever fails, and waits so many seconds for an answer, `echo ADDRESS SECONDS` sends UDP and waits for each echo,
// `names ADDRESS NAME=IPV4...` is a DNS server, `sleep` does nothing.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	switch os.Args[1] {
	case "serve":
		go echo(os.Args[2])
		name, _ := os.Hostname()
		http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
			fmt.Fprintf(answer, "%s saw %s\n", name, request.RemoteAddr)
		})
		log.Fatal(http.ListenAndServe(os.Args[2], nil))
	case "get":
		get(os.Args[2], number(os.Args[3]))
	case "ask":
		ask(os.Args[2], time.Duration(number(os.Args[3]))*time.Second, time.Duration(number(os.Args[4]))*time.Second)
	case "echo":
		askForEchoes(os.Args[2], time.Duration(number(os.Args[3]))*time.Second)
	case "names":
		serveNames(os.Args[2], os.Args[3:])
	case "sleep":
		time.Sleep(1 << 62)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func echo(address string) {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	buffer := make([]byte, 2048)
	for {
		if size, from, err := socket.ReadFrom(buffer); err == nil {
			socket.WriteTo(buffer[:size], from)
		}
	}
}

// Prints the port that it sends from, and how many datagrams of 100 bytes went and came.
func askForEchoes(address string, length time.Duration) {
	socket, err := net.Dial("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	count := 0
	buffer := make([]byte, 100)
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := socket.Write(buffer); err != nil {
			log.Fatal(err)
		}
		socket.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := socket.Read(buffer); err != nil {
			log.Fatal(err)
		}
		count++
	}
	fmt.Println(socket.LocalAddr().(*net.UDPAddr).Port, count)
}

// Each request has a connection of its own.
func get(url string, count int) {
	for range count {
		body, err := request(url, time.Minute)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(body)
	}
}

func ask(url string, length, patience time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		body, err := request(url, patience)
		if err != nil {
			body = fmt.Sprintln(err)
		}
		fmt.Printf("%d %s", time.Now().UnixMilli(), body)
	}
}

func request(url string, timeout time.Duration) (string, error) {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}
