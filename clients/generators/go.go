package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	api "story/agentapi"
)

// must returns the value, or ends the program with the error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// object returns a decision of any shape as the free object that a message holds.
func object(decision any) (value map[string]any) {
	if err := json.Unmarshal(must(json.Marshal(decision)), &value); err != nil {
		panic(err)
	}
	return value
}

func main() {
	configuration := api.NewConfiguration()
	configuration.Servers = api.ServerConfigurations{{URL: os.Getenv("API")}}
	client := api.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), api.ContextAccessToken, os.Getenv("TOKEN"))

	flat := api.NewFlatRoutingDecision()
	flat.SetSelectedTools([]string{"search"})
	flat.SetConfidence(0.92)
	flat.SetAlternatives([]any{"web", map[string]any{"name": "calculator"}})
	step := api.NewPlanStep()
	step.SetStep(1)
	step.SetType("tool")
	step.SetName("search")
	step.SetInput(map[string]any{"query": "rent"})
	nested := api.NewNestedRoutingDecision(*api.NewNullableFlatRoutingDecision(flat))
	nested.SetExecutionPlan([]api.PlanStep{*step})
	thought := api.NewThought()
	thought.SetType("plan")
	thought.SetMessage("Add it up.")
	thought.SetData([]any{1, 2})
	agentic := api.NewAgenticRoutingDecision([]api.Thought{*thought})
	agentic.SetSelectedAgents([]any{"web", map[string]any{"name": "calculator"}})

	create := client.ConversationsAPI.CreateConversation(ctx)
	conversation, _, err := create.ConversationCreate(*api.NewConversationCreate()).Execute()
	must(conversation, err)
	for _, decision := range []any{flat, nested, agentic} {
		body := api.NewMessageCreate(api.ASSISTANT, "Harbour Street.")
		body.SetRoutingDecision(object(decision))
		post := client.MessagesAPI.CreateMessage(ctx, conversation.Id)
		sent, _, err := post.MessageCreate(*body).Execute()
		must(sent, err)
		read, _, err := client.MessagesAPI.GetMessage(ctx, sent.Id).Execute()
		must(read, err)
		// Back into the type of its shape, which must keep everything.
		again := reflect.New(reflect.TypeOf(decision).Elem()).Interface()
		if err := json.Unmarshal(must(json.Marshal(read.RoutingDecision)), again); err != nil {
			panic(err)
		}
		if !reflect.DeepEqual(object(again), object(decision)) {
			panic(fmt.Sprint(object(again), object(decision)))
		}
	}
	run, _, err := client.RunsAPI.CreateRun(ctx).RunCreate(*api.NewRunCreate("web")).Execute()
	must(run, err)
	if run.Status != api.PENDING {
		panic(run.Status)
	}
	fmt.Println("3 routing decisions, 1 run")
}
