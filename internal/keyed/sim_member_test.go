package keyed_test

import (
	"strings"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
)

// maxBatch bounds the records of one fetch.
const maxBatch = 6

// member is one process of the group: the consumer loop around a core.
type member struct {
	w       *world
	id      int
	life    int // grows with every restart
	alive   bool
	core    *keyed.Core[*work]
	epoch   []uint64 // per lane, the epoch assigned last; 0: none
	drain   []bool
	sending []bool   // per lane, a commit is on its way
	acked   []uint64 // per lane, the position known as committed
	lows    []uint64
	control []event
	data    [][]event
	tasks   []*attempt
	handed  map[string]uint64 // per key and epoch, the last position handed out
}

func (m *member) start() {
	n := len(m.w.lanes)
	m.life++
	m.alive = true
	m.core = keyed.New[*work](m.w.config)
	m.epoch, m.acked, m.lows = make([]uint64, n), make([]uint64, n), make([]uint64, n)
	m.drain, m.sending = make([]bool, n), make([]bool, n)
	m.control, m.tasks, m.data = nil, nil, make([][]event, n)
	m.handed = map[string]uint64{}
	m.w.tracef("member %d starts, life %d", m.id, m.life)
}

func (m *member) crash() {
	for _, r := range m.tasks {
		m.w.tracef("member %d dies with %s in phase %d", m.id, r.task.Value.rec.id(), r.phase)
		if r.phase == phMark {
			r.task.Value.rec.excuses++
		}
	}
	m.alive = false
	m.core = nil
	m.tasks = nil
	m.w.count[crashes]++
}

// receiveControl handles the oldest word of the broker or the operator.
func (m *member) receiveControl() {
	ev := m.control[0]
	m.control = m.control[1:]
	switch ev.kind {
	case evAssigned:
		m.assigned(ev)
	case evLost:
		m.revoke(ev.lane, ev.epoch)
	case evDraining:
		if m.epoch[ev.lane] == ev.epoch {
			m.core.Drain(m.w.lanes[ev.lane].name)
			m.drain[ev.lane] = true
		}
	case evRelease:
		m.syncParked(ev.key)
	}
}

// assigned takes a lane over: first the fence, so that the former owner writes
// nothing more, then the parked keys, then the core.
func (m *member) assigned(ev event) {
	name := m.w.lanes[ev.lane].name
	if ev.epoch < m.epoch[ev.lane] || !m.w.store.claim(ev.lane, ev.epoch) {
		return
	}
	if ev.epoch > m.epoch[ev.lane] {
		m.epoch[ev.lane], m.acked[ev.lane], m.lows[ev.lane] = ev.epoch, ev.from, 0
		m.drain[ev.lane], m.sending[ev.lane] = false, false
	}
	for _, p := range m.core.Parked() {
		if strings.HasPrefix(p.Key, name+"/") {
			m.syncParked(p.Key)
		}
	}
	for _, k := range m.w.store.parkedOf(name) {
		m.core.Park(k, m.w.store.parked[k])
	}
	m.core.Assign(name, ev.epoch, ev.from)
}

// syncParked releases a key that the store does not hold as parked.
func (m *member) syncParked(key string) {
	if _, ok := m.w.store.parked[key]; !ok {
		m.core.Release(key)
	}
}

func (m *member) revoke(lane int, epoch uint64) {
	if m.epoch[lane] != epoch {
		return
	}
	m.core.Revoke(m.w.lanes[lane].name)
	m.drain[lane] = false
}

// receiveData hands the oldest batch of a lane to the core. A batch never
// overtakes its assignment; one of an older epoch may come late.
func (m *member) receiveData(lane int) bool {
	if len(m.data[lane]) == 0 || m.data[lane][0].epoch > m.epoch[lane] {
		return false
	}
	ev := m.data[lane][0]
	m.data[lane] = m.data[lane][1:]
	for _, r := range ev.recs {
		ok := m.core.Add(keyed.Item[*work]{
			Lane: m.w.lanes[lane].name, Epoch: ev.epoch, Pos: r.pos, Key: r.key,
			Size: r.size, Value: &work{rec: r},
		})
		if !ok {
			m.w.count[refusedAdds]++
		}
	}
	m.w.checkBounds(m)
	return true
}

// pull fetches more of a lane when the core has room.
func (m *member) pull(lane int) bool {
	if m.epoch[lane] == 0 || len(m.data[lane]) > 0 {
		return false
	}
	if !m.core.CanFetch(m.w.lanes[lane].name) {
		m.w.countPause(m, lane)
		return false
	}
	return m.w.fetch(m, lane)
}

// sendCommit sends the finished prefix of a lane if it moved.
func (m *member) sendCommit(lane int) bool {
	low, epoch, ok := m.core.Low(m.w.lanes[lane].name)
	if !ok || m.sending[lane] {
		return false
	}
	m.w.checkLow(m, lane, low, epoch)
	if low <= m.acked[lane] {
		return m.handOver(lane)
	}
	m.sending[lane] = true
	m.w.network = append(m.w.network, commitRequest{m, m.life, lane, epoch, low})
	return true
}

// handOver gives a drained lane away once everything finished is committed.
func (m *member) handOver(lane int) bool {
	l := m.w.lanes[lane]
	if !m.drain[lane] || m.core.Running(l.name) > 0 {
		return false
	}
	m.revoke(lane, m.epoch[lane])
	if l.epoch == m.epoch[lane] {
		m.w.count[handOvers]++
		m.w.assign(lane, m.w.anyMember())
	}
	return true
}
