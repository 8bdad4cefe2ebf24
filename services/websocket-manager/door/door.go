// Package door decides who comes in to the live view and which workflows they see there.
//
// A program shows its bearer token. A browser cannot put one into a WebSocket's or an EventSource's
// request, and a token must not stand in a URL, where proxies log it: so it trades its token for a
// ticket, which is good for one connection within half a minute, at any replica.
package door

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/access"
	"agentbus/pkg/events/bus"
)

// TicketLife is how long a ticket may be traded in.
const TicketLife = 30 * time.Second

// ErrUnknown is returned by [Door.Check] for a workflow that does not exist, or not for this caller: he
// is not told which.
var ErrUnknown = errors.New("there is no such workflow, or it belongs to another tenant")

// Past knows whom workflows belonged to that Redis has forgotten; "" when it does not.
type Past interface {
	Tenant(ctx context.Context, workflowID string) (string, error)
}

// Door is what [New] makes. Safe for concurrent use.
type Door struct {
	bus  *bus.Bus
	gate *access.Gate
	past Past
}

// New makes a Door. The bus stays the caller's; past may be nil.
func New(b *bus.Bus, gate *access.Gate, past Past) *Door { return &Door{b, gate, past} }

// Open reports whether everybody is let in.
func (d *Door) Open() bool { return d.gate.Open() }

// Enter says who sent the request, by its bearer token or by the parameter ticket, which is then spent.
func (d *Door) Enter(r *http.Request) (access.Principal, error) {
	ticket := r.URL.Query().Get("ticket")
	if ticket == "" || d.gate.Open() {
		return d.gate.Authenticate(r)
	}
	raw, err := d.bus.Client().GetDel(r.Context(), d.key(ticket)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return access.Principal{}, fmt.Errorf("%w: the ticket was used already, or is older than %s; get another one", access.ErrBadToken, TicketLife)
	case err != nil:
		return access.Principal{}, fmt.Errorf("look up the ticket: %w", err)
	}
	var p access.Principal
	return p, json.Unmarshal(raw, &p)
}

// Refuse answers the request that Enter returned err for.
func Refuse(w http.ResponseWriter, err error) {
	if errors.Is(err, access.ErrNoToken) || errors.Is(err, access.ErrBadToken) {
		access.Refuse(w, err)
		return
	}
	access.Problem(w, http.StatusServiceUnavailable, "Redis does not answer; try again a little later")
}

// Ticket makes one for p.
func (d *Door) Ticket(ctx context.Context, p access.Principal) (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	ticket := rand.Text()
	return ticket, d.bus.Client().Set(ctx, d.key(ticket), raw, TicketLife).Err()
}

// key holds the ticket's digest: who can read Redis cannot use it.
func (d *Door) key(ticket string) string {
	sum := sha256.Sum256([]byte(ticket))
	return d.bus.Names().Ticket(hex.EncodeToString(sum[:]))
}

// Check returns [ErrUnknown] unless p may see the workflow.
func (d *Door) Check(ctx context.Context, p access.Principal, workflowID string) error {
	if p.Operator {
		return nil
	}
	tenant, err := d.tenant(ctx, workflowID)
	if err == nil && !p.MaySee(tenant) {
		err = ErrUnknown
	}
	return err
}

// tenant reads the coordinator's state, which is there before the first event is, or else the record.
func (d *Door) tenant(ctx context.Context, workflowID string) (string, error) {
	state, err := d.bus.Load(ctx, d.bus.Names().Workflow(workflowID))
	if err != nil {
		return "", err
	}
	if state.Rev > 0 {
		var w struct {
			Tenant string `json:"tenant"`
		}
		return w.Tenant, json.Unmarshal(state.Doc, &w)
	}
	if d.past == nil {
		return "", nil
	}
	return d.past.Tenant(ctx, workflowID)
}
