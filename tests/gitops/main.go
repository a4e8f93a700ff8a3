// Says how healthy GitOps tools take objects to be: Argo CD by its Lua scripts, Flux by its health check expressions, and
// kstatus, which both and others fall back on.
//
// The arguments are a ConfigMap with Argo CD's scripts and a Kustomization with Flux's expressions. It reads objects as lines
// of JSON, and writes a line of JSON for each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	fluxstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// verdict is what the tools say about one object.
type verdict struct {
	ArgoCD      string `json:"argocd"`
	ArgoCDText  string `json:"argocdMessage"`
	Flux        string `json:"flux"`
	Kstatus     string `json:"kstatus"`
	FluxKstatus string `json:"fluxKstatus"`
	FluxProblem string `json:"fluxProblem,omitempty"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: health CONFIGMAP KUSTOMIZATION < objects")
		os.Exit(1)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(configMap, kustomization string, in io.Reader, out io.Writer) error {
	var argocd struct {
		Data map[string]string `json:"data"`
	}
	if err := read(configMap, &argocd); err != nil {
		return err
	}
	var flux struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	if err := read(kustomization, &flux); err != nil {
		return err
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range flux.Spec.HealthCheckExprs {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return fmt.Errorf("%s: %w", check.Kind, err)
		}
		evaluators[check.APIVersion+"/"+check.Kind] = evaluator
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(lines.Bytes()); err != nil {
			return err
		}
		kind := object.GroupVersionKind()
		script := argocd.Data["resource.customizations.health."+kind.Group+"_"+kind.Kind]
		evaluator := evaluators[object.GetAPIVersion()+"/"+kind.Kind]
		// Flux has no Applications.
		if script == "" || evaluator == nil && kind.Group != "argoproj.io" {
			return fmt.Errorf("there is no health check for %s", kind)
		}
		said := verdict{}
		health, err := runLua(script, object.Object)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		said.ArgoCD, said.ArgoCDText = health.Status, health.Message
		if evaluator != nil {
			result, err := evaluator.Evaluate(context.Background(), object)
			if err != nil {
				// As Flux's own reader does.
				said.Flux, said.FluxProblem = string(fluxstatus.UnknownStatus), err.Error()
			} else {
				said.Flux = string(result.Status)
			}
		}
		plain, err := status.Compute(object)
		if err != nil {
			return err
		}
		said.Kstatus = string(plain.Status)
		ofFlux, err := fluxstatus.Compute(object)
		if err != nil {
			return err
		}
		said.FluxKstatus = string(ofFlux.Status)
		if err := encoder.Encode(said); err != nil {
			return err
		}
	}
	return lines.Err()
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// runLua runs a script with the libraries that Argo CD gives it, which lack string and math.
func runLua(script string, object map[string]any) (*health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, errors.New("the script does not return a table")
	}
	said := &health{Status: table.RawGetString("status").String()}
	if message, ok := table.RawGetString("message").(lua.LString); ok {
		said.Message = string(message)
	}
	switch said.Status {
	case "Healthy", "Progressing", "Degraded", "Suspended":
		return said, nil
	}
	return nil, fmt.Errorf("Argo CD knows no status %q", said.Status)
}

func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case bool:
		return lua.LBool(of)
	case int64:
		return lua.LNumber(of)
	case float64:
		return lua.LNumber(of)
	case string:
		return lua.LString(of)
	case []any:
		table := state.NewTable()
		for _, item := range of {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for name, item := range of {
			table.RawSetString(name, value(state, item))
		}
		return table
	}
	return lua.LNil
}
