package main

import (
	"log"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// A DNS server that knows the names of its arguments, each NAME=IPV4, and that there are no others.
func serveNames(address string, records []string) {
	names := map[string]netip.Addr{}
	for _, record := range records {
		name, value, _ := strings.Cut(record, "=")
		names[name+"."] = netip.MustParseAddr(value)
	}
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	buffer := make([]byte, 2048)
	for {
		size, from, err := socket.ReadFrom(buffer)
		if err != nil {
			log.Fatal(err)
		}
		var message dnsmessage.Message
		if message.Unpack(buffer[:size]) != nil || len(message.Questions) != 1 {
			continue
		}
		answer(&message, names)
		packed, err := message.Pack()
		if err != nil {
			log.Fatal(err)
		}
		socket.WriteTo(packed, from)
	}
}

// Turns a question into its answer; a known name without an address of the kind that was asked for has an empty one.
func answer(message *dnsmessage.Message, names map[string]netip.Addr) {
	question := message.Questions[0]
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	address, known := names[strings.ToLower(question.Name.String())]
	switch {
	case !known:
		message.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		header := dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 5}
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: address.As4()}}}
	}
}
