package drivertest

import (
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func livePromises() []Promise {
	return []Promise{
		{
			"LiveReaderStartsAtNow",
			"A new reader gets nothing stored before it was opened and everything stored after.",
			liveReaderStartsAtNow,
		},
		{
			"LiveReadersAllGetAll",
			"Each of several live readers gets every record.",
			liveReadersAllGetAll,
		},
		{
			"FollowSeesWhatComesLater",
			"A reader that follows goes from history to what is stored later without a gap or a repetition, also while others publish.",
			followSeesWhatComesLater,
		},
		{
			"ReadersCoverLogsCreatedLater",
			"Readers that follow, and live readers, get all of a log that is created after they were opened.",
			readersCoverLogsCreatedLater,
		},
	}
}

func liveReaderStartsAtNow(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 10))
	r := e.reader(tr, driver.ReadConfig{Pattern: allOrders, New: true})
	e.publish(e.connect(), records(ordersA, "k", 10, 5))
	if got, want := values(e.reads(r, 5)), names("k", 10, 5); !slices.Equal(got, want) {
		e.Errorf("a live reader got %v, want %v", got, want)
	}
	e.readsNothing(r)
}

func liveReadersAllGetAll(e *env) {
	tr, other := e.connect(), e.connect()
	var readers []driver.Reader
	for _, on := range []driver.Transport{tr, tr, other} {
		readers = append(readers, e.reader(on, driver.ReadConfig{Pattern: allOrders, New: true}))
	}
	e.publish(tr, records(ordersA, "k", 0, 100))
	for i, r := range readers {
		if got, want := values(e.reads(r, 100)), names("k", 0, 100); !slices.Equal(got, want) {
			e.Errorf("reader %d got %v, want %v", i, got, want)
		}
	}
}

func followSeesWhatComesLater(e *env) {
	const calls, each = 20, 25
	tr, writer := e.connect(), e.connect()
	e.publish(writer, records(ordersA, "k", 0, each))
	published := make(chan struct{})
	go func() {
		defer close(published)
		for c := 1; c < calls; c++ {
			r := e.post(writer, records(ordersA, "k", c*each, each))
			if !e.within(e.h.Patience, r.done) {
				e.Errorf("waited %v for a publish to settle", e.h.Patience)
				return
			}
		}
	}()
	r := e.reader(tr, driver.ReadConfig{Pattern: allOrders, Follow: true})
	got := values(e.reads(r, calls*each))
	e.await(published, "the writer")
	if want := names("k", 0, calls*each); !slices.Equal(got, want) {
		e.Errorf("a reader that follows got %v, want %v", got, want)
	}
	next := e.waits(r)
	e.publish(writer, records(ordersA, "last", 0, 1))
	if got, want := values(next()), names("last", 0, 1); !slices.Equal(got, want) {
		e.Errorf("a reader that waited got %v, want %v", got, want)
	}
}

func readersCoverLogsCreatedLater(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 2))
	follow := e.reader(tr, driver.ReadConfig{Pattern: allDev, Follow: true})
	live := e.reader(tr, driver.ReadConfig{Pattern: allDev, New: true})
	e.publish(e.connect(), records(fillsA, "f", 0, 5))
	if got, want := values(e.reads(follow, 7)), append(names("k", 0, 2), names("f", 0, 5)...); !slices.Equal(got, want) {
		e.Errorf("a reader that follows got %v, want %v", got, want)
	}
	if got, want := values(e.reads(live, 5)), names("f", 0, 5); !slices.Equal(got, want) {
		e.Errorf("a live reader got %v, want %v", got, want)
	}
}
